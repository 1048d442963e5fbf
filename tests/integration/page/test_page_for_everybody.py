"""Today and the messages for everybody: on a phone, in light and dark, by keyboard, by screen reader, and soon."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from carenotify.app import App
from tests.integration.page.accessibility import obstacles
from tests.integration.page.believable_day import BelievableDay
from tests.integration.page.browser import PHONE, Server
from tests.integration.page.conftest import Enter

MANY = 40_000
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
FOCUSED = "document.activeElement.innerText || document.activeElement.getAttribute('aria-label')"

# As many messages as some days of a large hospital, half of them of today.
FILL = """
INSERT INTO notifications (id, dedup_key, kind, lane, channel, patient_id, status, due_at, expires_at,
                           template_version_id, sealed_data, attempts, created_at, finished_at)
SELECT gen_random_uuid(), 'many:' || n, 'reminder', 'low', (ARRAY['sms', 'email'])[n %% 2 + 1], 'pat-' || n %% 9000,
       (ARRAY['delivered', 'sent', 'failed', 'delivered', 'delivered'])[n %% 5 + 1], at, at + interval '3 h', t.id,
       '\\x00', 1, at, at + interval '1 min'
FROM generate_series(1, %(many)s) n,
     LATERAL (SELECT %(now)s - make_interval(days => n %% 2, secs => n %% 1700) AS at) made,
     LATERAL (SELECT min(id) AS id FROM template_versions) t
"""


@pytest.mark.parametrize("place", ["#today", "#messages?status=bounced", "#messages/story"])
def test_everybody_can_use_it(
    busy_app: App, busy_server: Server, busy_day: BelievableDay, enter: Enter, place: str
) -> None:
    with busy_app.database.transaction() as transaction:
        ((story,),) = transaction.execute("SELECT id FROM notifications WHERE attempts > 1 ORDER BY id LIMIT 1")
    page = enter("Op").open(place.replace("story", str(story)))
    page.locator(".chart svg, tbody tr, .timeline").first.wait_for()
    assert obstacles(page) == []


def test_everybody_can_answer_a_question_in_an_empty_hospital(server: Server, enter: Enter) -> None:
    page = enter("Op").open()
    assert obstacles(page) == []
    page.get_by_role("button", name="Pause…").click()
    assert obstacles(page) == []


def test_a_phone_finds_filters_and_dialogs_on_the_screen(busy_server: Server, enter: Enter) -> None:
    page = enter("Op", viewport=PHONE, has_touch=True).open("#messages")
    page.locator("tbody tr").first.wait_for()
    expect(page.get_by_label("Patient id")).not_to_be_visible()
    page.get_by_text("Filters", exact=True).tap()
    page.get_by_label("Patient id").fill("pat-0001")
    page.get_by_role("button", name="Search").tap()
    page.wait_for_url("**/page#messages?patient_id=pat-0001")
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Today", exact=True).tap()
    page.get_by_role("button", name="Resume…").tap()
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]


def test_the_keyboard_alone_leads_through_the_tabs_to_the_content(busy_server: Server, enter: Enter) -> None:
    page = enter("Viewer").open()
    page.locator("main a").first.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    page.reload()
    page.locator(".who").wait_for()
    walked = []
    for _ in range(5):
        page.keyboard.press("Tab")
        walked.append(page.evaluate(FOCUSED))
    assert walked == ["Skip to the content", "Today", "Messages", "Reports", "Alerts"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_focused()


def test_a_dialog_keeps_the_focus_and_gives_it_back(server: Server, enter: Enter) -> None:
    page = enter("Op").open()
    opener = page.get_by_role("button", name="Pause…")
    opener.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(opener).to_be_focused()


def first_paint(page: Page) -> float:
    """Milliseconds from asking for the page until something is there to be read; the better of two visits."""
    first: float = page.evaluate(FIRST_PAINT)
    page.reload()
    page.locator(".heading").wait_for()
    return min(first, page.evaluate(FIRST_PAINT))


def test_the_page_is_there_within_a_second_when_nothing_has_happened(server: Server, enter: Enter) -> None:
    page = enter("Viewer").open()
    assert first_paint(page) < 1_000


def test_the_page_is_there_within_a_second_when_much_has_happened(app: App, server: Server, enter: Enter) -> None:
    with app.database.transaction() as transaction:
        transaction.execute(FILL, {"many": MANY, "now": app.clock()})
    visitor = enter("Viewer")
    page = visitor.open()
    assert first_paint(page) < 1_000
    expect(page.locator(".figure", has_text="Delivered").locator(".big")).to_have_text("12,000")
    page.get_by_role("link", name="Messages", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(50)
