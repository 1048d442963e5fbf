"""The view of dead letters: why nobody delivered them, sending them again, and putting them away."""

from __future__ import annotations

from collections import Counter

import pytest
from playwright.sync_api import Locator, Page, expect

from carenotify.app import App
from tests.integration.page.accessibility import obstacles
from tests.integration.page.believable_day import play_believable_day
from tests.integration.page.believable_fates import HOSTILE_CODE
from tests.integration.page.browser import Server
from tests.integration.page.conftest import Enter
from tests.integration.ward import Hospital


@pytest.fixture
def day(app: App) -> None:
    """A day in the test's own database, to be changed."""
    play_believable_day(app)


def opened(enter: Enter, role: str = "Op", place: str = "#dead-letters") -> Page:
    page = enter(role).open(place)
    page.get_by_role("heading", name="Dead letters", exact=True).wait_for()
    return page


def rows(page: Page) -> Locator:
    return page.get_by_role("table").locator("tbody tr")


def pile(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=title))


def test_they_are_counted_and_explained_by_reason_and_each_says_whether_it_can_be_sent_again(
    busy_server: Server, enter: Enter
) -> None:
    page = opened(enter)
    expect(pile(page, "All attempts failed")).to_contain_text("10")
    expect(pile(page, "All attempts failed")).to_contain_text("The provider failed six times within a minute.")
    expect(page.get_by_role("button", name="Send all again: Came back")).to_have_count(0)
    expect(pile(page, "Cannot be worded")).to_contain_text("discard it")
    expect(page.get_by_role("button", name="Send all again: Cannot be worded")).to_have_count(0)
    page.get_by_role("button", name="Send all again: Worker stopped in the middle").click()
    expect(page.get_by_role("dialog")).to_contain_text("the patient may get it twice")
    page.keyboard.press("Escape")
    expect(rows(page)).to_have_count(32)
    expect(rows(page).filter(has_text="Worker stopped")).to_contain_text("Yes The provider may have it")
    expect(rows(page).filter(has_text="Message refused")).to_contain_text(HOSTILE_CODE)
    expect(rows(page).filter(has_text="its time is over")).to_have_count(1)
    expect(rows(page).filter(has_text="the appointment has changed since")).to_have_count(2)
    expect(rows(page).filter(has_text="there is no message behind it")).to_have_count(2)
    page.get_by_role("button", name="Show only these: All attempts failed").click()
    expect(rows(page)).to_have_count(10)
    page.get_by_label("Channel").select_option("E-mail")
    expect(rows(page)).to_have_count(1)
    assert page.url.endswith("#dead-letters?reason=retries_spent&channel=email")
    page.get_by_role("link", name="Reminder").click()
    page.wait_for_url("**#messages/*")


def test_settled_ones_say_how_and_by_whom(busy_server: Server, enter: Enter) -> None:
    page = opened(enter, "User", "#dead-letters?resolved=yes")
    ways = ("Sent again by op", "Discarded by op", "Another message took its place", "Delivered after all")
    for way in ways:
        expect(rows(page).filter(has_text=way).first).to_be_visible()


@pytest.mark.usefixtures("day")
def test_the_chosen_ones_and_a_whole_reason_are_sent_again_and_are_due_in_the_database(
    server: Server, enter: Enter, hospital: Hospital
) -> None:
    page = opened(enter, place="#dead-letters?reason=retries_spent")
    expect(rows(page)).to_have_count(10)
    before = hospital.statuses()
    send_again = page.get_by_role("button", name="Send again", exact=True)
    expect(send_again).to_be_disabled()
    for row in (rows(page).filter(has_text="Yes").nth(0), rows(page).filter(has_text="Yes").nth(1)):
        row.get_by_role("checkbox").check()
    rows(page).filter(has_text="changed since").first.get_by_role("checkbox").check()
    expect(page.get_by_role("group", name="Chosen dead letters")).to_contain_text("3 chosen, 2 can be sent again")

    send_again.click()
    dialog = page.get_by_role("dialog", name="Send 2 messages again?")
    expect(dialog).to_contain_text("1 other that you chose cannot be sent again and will stay open.")
    dialog.get_by_role("button", name="Back").click()
    expect(dialog).to_have_count(0)
    assert hospital.statuses() == before  # nobody has confirmed it

    send_again.click()
    page.get_by_role("dialog").get_by_role("button", name="Send again").click()
    expect(page.get_by_text("2 sent again.").first).to_be_visible()
    expect(rows(page)).to_have_count(8)
    assert hospital.statuses() == before + Counter(pending=2) - Counter(failed=2)
    by = hospital.query("SELECT actor, count(*)::int FROM audit_log WHERE action = 'dead_letter.replayed' GROUP BY 1")
    assert by == [("person:op", 2)]

    page.get_by_role("button", name="Send all again: All attempts failed").click()
    dialog = page.get_by_role("dialog", name="Send all 8 of “All attempts failed” again?")
    dialog.get_by_role("button", name="Send all again").click()
    expect(page.get_by_text("6 sent again; 2 refused: 2 about an appointment that has changed.").first).to_be_visible()
    expect(pile(page, "All attempts failed").locator(".size")).to_have_text("2")
    assert hospital.statuses() == before + Counter(pending=8) - Counter(failed=8)


@pytest.mark.usefixtures("day")
def test_what_is_discarded_sends_nothing_and_what_another_has_settled_is_refused_in_words(
    server: Server, enter: Enter, hospital: Hospital
) -> None:
    page = opened(enter, place="#dead-letters?reason=carrier&channel=sms")
    expect(rows(page)).to_have_count(5)
    page.get_by_label("All 5 on this page").check()
    page.get_by_role("button", name="Discard").click()
    statuses = hospital.statuses()
    page.get_by_role("dialog", name="Discard 5 dead letters?").get_by_role("button", name="Discard").click()
    expect(page.get_by_text("5 discarded; nothing was sent.").first).to_be_visible()
    expect(page.get_by_text("None matches what you chose above.")).to_be_visible()
    assert hospital.statuses() == statuses
    settled = hospital.query("SELECT count(*) FROM dead_letters WHERE resolution = 'discarded' AND reason = 'carrier'")

    page.get_by_label("Reason", exact=True).select_option("No such address")
    page.get_by_label("All 3 on this page").check()
    hospital.query(
        "UPDATE dead_letters SET resolved_at = now(), resolution = 'fallback'"
        " WHERE reason = 'address_rejected' RETURNING 1"
    )
    page.get_by_role("button", name="Send again", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Send again").click()
    expect(page.get_by_text("None sent again; 3 refused: 3 settled already.").first).to_be_visible()
    assert settled[0][0] >= 5


def test_who_may_only_read_has_nothing_to_press_and_is_refused_by_the_server(busy_server: Server, enter: Enter) -> None:
    visitor = enter("User")
    visitor.allow("403")
    page = visitor.open("#dead-letters")
    expect(rows(page)).to_have_count(32)
    expect(page.get_by_role("checkbox")).to_have_count(0)
    for name in ("Send", "Discard"):
        expect(page.locator("main").get_by_role("button", name=name)).to_have_count(0)
    asked = """async path => (await fetch(`../carenotify/v1/dead-letters/${path}`, {
        method: "POST", headers: {"X-Carenotify-Request": "1", "Content-Type": "application/json"},
        body: JSON.stringify({ids: [1]})})).status"""
    assert [page.evaluate(asked, path) for path in ("replay", "discard")] == [403, 403]


def test_it_can_be_used_by_everybody_and_says_so_when_there_are_none(
    busy_server: Server, server: Server, enter: Enter
) -> None:
    page = opened(enter, place="#dead-letters?reason=address_rejected")
    expect(rows(page)).to_have_count(3)
    assert obstacles(page) == []
    page.get_by_role("button", name="Send all again: No such address").click()
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Send all again: No such address")).to_be_focused()
    empty = enter("Op", server=server).open("#dead-letters")
    expect(empty.locator("main")).to_contain_text("None is open")
