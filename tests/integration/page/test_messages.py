"""The view of all messages: found by what is known of them, page by page, each with its whole story."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from carenotify.app import App
from tests.integration.page.believable_day import HOSTILE_NAME, HOSTILE_VENUE, BelievableDay
from tests.integration.page.browser import Server
from tests.integration.page.conftest import Enter
from tests.integration.ward import Hospital


def rows(page: Page) -> Any:
    return page.locator("tbody").get_by_role("row")


def ids(app: App, condition: str) -> list[str]:
    """Of the messages that meet a condition, newest first."""
    with app.database.transaction() as transaction:
        found = transaction.execute(f"SELECT id FROM notifications WHERE {condition} ORDER BY id DESC")
        return [str(row[0]) for row in found]


def shown(page: Page) -> list[str]:
    links = rows(page).get_by_role("rowheader").get_by_role("link")
    return [str(href).removeprefix("#messages/") for href in links.evaluate_all("links => links.map(l => l.hash)")]


FILTERS = {
    "patient_id=pat-0001": "patient_id = 'pat-0001'",
    "appointment_id=apt-0100": "id IN (SELECT notification_id FROM notification_appointments"
    " WHERE appointment_id = 'apt-0100')",
    "status=bounced": "status = 'bounced'",
    "kind=message&channel=sms": "kind = 'message' AND channel = 'sms'",
    "reason=retries_spent": "reason = 'retries_spent'",
}


def test_the_address_holds_the_filters(busy_app: App, busy_server: Server, enter: Enter) -> None:
    page = enter("Viewer").open("#messages")
    for filters, condition in FILTERS.items():
        expected = ids(busy_app, condition)
        page.evaluate(f"location.hash = '#messages?{filters}'")
        expect(rows(page).first.get_by_role("link").first).to_have_attribute("href", f"#messages/{expected[0]}")
        assert shown(page) == expected


def test_filters_are_set_in_the_form_and_days_are_the_hospitals(
    busy_app: App, busy_day: BelievableDay, busy_server: Server, enter: Enter
) -> None:
    page = enter("Viewer").open("#messages")
    page.get_by_label("Status").select_option("Too late")
    expect(rows(page)).to_have_count(len(ids(busy_app, "status = 'expired'")))
    day = busy_day.day.isoformat()
    page.get_by_label("From day").fill(day)
    page.get_by_label("To day").fill(day)
    page.get_by_role("button", name="Search").click()
    page.wait_for_url(f"**/page#messages?status=expired&from={day}&to={day}")
    today = f"(created_at AT TIME ZONE 'Europe/Berlin')::date = '{day}'"
    expect(rows(page)).to_have_count(len(ids(busy_app, f"status = 'expired' AND {today}")))
    page.get_by_role("link", name="Show all").click()
    expect(rows(page)).to_have_count(50)


def test_filters_are_chosen_with_the_arrow_keys_and_back_leads_out_of_them(busy_server: Server, enter: Enter) -> None:
    page = enter("Viewer").open("#today")
    page.get_by_role("link", name="Messages", exact=True).click()
    status = page.get_by_label("Status")
    status.focus()
    for chosen in ("pending", "queued", "sending"):
        page.keyboard.press("ArrowDown")
        page.wait_for_url(f"**/page#messages?status={chosen}")
        expect(status).to_be_focused()
        expect(status).to_have_value(chosen)
    page.get_by_role("link", name="Show all").click()
    expect(status).to_have_value("")
    page.go_back()
    expect(status).to_have_value("sending")
    page.go_back()
    page.wait_for_url("**/page#today")


def test_a_list_that_nothing_has_changed_in_is_not_asked_for_again(busy_server: Server, enter: Enter) -> None:
    visitor = enter("Viewer")
    page = visitor.open("#messages")
    rows(page).first.wait_for()
    told = page.evaluate("fetch('../carenotify/v1/overview').then(answer => answer.json())")
    page.route("**/v1/overview", lambda route: route.fulfill(json=told))

    def looks_again_and_finds(**changes: Any) -> None:
        told.update(changes)
        with page.expect_response("**/v1/overview"):
            page.evaluate("dispatchEvent(new Event('online'))")

    looks_again_and_finds()
    looks_again_and_finds(now=told["day"] + "T08:30:07Z")
    page.wait_for_timeout(200)  # whatever it asks for now is one too many
    with page.expect_response(re.compile("/v1/notifications([?]|$)")):
        looks_again_and_finds(by_status={"delivered": 1})
    assert len(visitor.statuses("notifications")) == 2, "when it was opened, and when something had changed"


def test_one_goes_forward_and_back_page_by_page(busy_app: App, busy_server: Server, enter: Enter) -> None:
    page = enter("Viewer").open("#messages?channel=email")
    everything = ids(busy_app, "channel = 'email'")
    pager = page.get_by_role("navigation", name="Pages of messages")
    for at in (50, 100):
        pager.get_by_role("link", name="Next").click()
        expect(rows(page).first.get_by_role("link").first).to_have_attribute("href", f"#messages/{everything[at]}")
        assert shown(page) == everything[at : at + 50]
    pager.get_by_role("link", name="Previous").click()
    expect(rows(page).first.get_by_role("link").first).to_have_attribute("href", f"#messages/{everything[50]}")
    pager.get_by_role("link", name="Previous").click()
    expect(rows(page).first.get_by_role("link").first).to_have_attribute("href", f"#messages/{everything[0]}")
    expect(pager.get_by_role("link", name="Previous")).to_have_count(0)


def test_a_story_leads_back_to_the_list_that_one_came_from(busy_server: Server, enter: Enter) -> None:
    page = enter("Viewer").open("#messages?status=bounced")
    rows(page).first.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Reminder by")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.get_by_role("link", name="Back to the list").click()
    page.wait_for_url("**/page#messages?status=bounced")


def test_a_search_that_finds_nothing_says_so(busy_server: Server, enter: Enter) -> None:
    page = enter("Viewer").open("#messages?patient_id=nobody")
    expect(page.locator(".empty")).to_have_text("No message meets all of these conditions.")


def test_a_search_that_has_not_come_to_its_end_goes_on_with_next(busy_server: Server, enter: Enter) -> None:
    page = enter("Viewer").open()
    older = "00000000-0000-7000-8000-000000000000"
    page.route("**/v1/notifications?*", lambda route: route.fulfill(json={"notifications": [], "cursor": older}))
    page.evaluate("location.hash = '#messages?channel=sms&status=delivered'")
    expect(page.locator("main")).to_contain_text("The search has not come to the end yet: Next looks further back.")
    expect(page.get_by_role("link", name="Next")).to_have_attribute(
        "href", f"#messages?status=delivered&channel=sms&cursor={older}"
    )


def test_a_search_that_the_server_refuses_says_why(busy_server: Server, enter: Enter) -> None:
    visitor = enter("Viewer")
    visitor.allow("422")
    page = visitor.open("#messages?patient_id=" + "x" * 200)
    expect(page.get_by_role("alert")).to_contain_text("Some fields are missing or wrong.")


def test_an_id_that_is_pasted_leads_to_its_story(busy_app: App, busy_server: Server, enter: Enter) -> None:
    (message, *_) = ids(busy_app, "status = 'bounced'")
    page = enter("Viewer").open("#messages")
    page.get_by_label("Message id").fill(f" {message.upper()} ")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Reminder by")
    expect(page.locator(".heading .id")).to_have_text(message)


def test_an_id_of_something_else_leads_on(busy_server: Server, enter: Enter) -> None:
    visitor = enter("Viewer")
    visitor.allow("404")
    page = visitor.open("#messages/pat-0001")
    expect(page.get_by_role("heading", level=1)).to_have_text("No message has this id")
    page.get_by_role("link", name="the patient").click()
    page.wait_for_url("**/page#messages?patient_id=pat-0001")


def test_a_story_tells_attempts_with_codes_and_links_to_what_took_its_place(
    app: App, hospital: Hospital, server: Server, enter: Enter
) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    app.reminder_planner.plan(app.clock().date())
    ((failed, successor),) = hospital.query(
        "SELECT s.id, e.id FROM notifications s, notifications e WHERE s.channel = 'sms' AND e.channel = 'email'"
    )
    with app.database.transaction() as transaction:
        transaction.execute("UPDATE notifications SET fallback_of = %s WHERE id = %s", (failed, successor))
        transaction.execute("UPDATE notifications SET status = 'failed', finished_at = now() WHERE id = %s", (failed,))
        transaction.execute(
            "INSERT INTO delivery_attempts (notification_id, attempt, provider, outcome, code, finished_at)"
            " SELECT %s, n, 'twilio', 'temporary', '5' || n, now() FROM generate_series(1, 3) n",
            (failed,),
        )
    page = enter("Op").open(f"#messages/{successor}")
    page.get_by_role("link", name="an earlier message").click()
    timeline = page.locator(".timeline")
    for attempt in (1, 2, 3):
        line = timeline.get_by_role("listitem").filter(has_text=f"Attempt {attempt}")
        expect(line).to_contain_text(f"Attempt {attempt} by twilio temporary 5{attempt}")
    timeline.get_by_role("link", name="Another message took its place").click()
    expect(page.locator(".heading .id")).to_have_text(str(successor))


def test_a_story_names_who_cancelled_it(server: Server, app: App, hospital: Hospital, enter: Enter) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    app.reminder_planner.plan(app.clock().date())
    (message, *_) = ids(app, "channel = 'sms'")
    page = enter("Op").open(f"#messages/{message}")
    page.get_by_role("button", name="Cancel it…").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the message").click()
    expect(page.locator(".toasts")).to_contain_text("The message was cancelled.")
    expect(page.locator(".timeline")).to_contain_text("by person:op")
    expect(page.get_by_role("button", name="Cancel it…")).to_have_count(0)
    assert ids(app, "status = 'cancelled'") == [message]


@pytest.fixture
def waiting(busy_app: App, busy_day: BelievableDay) -> tuple[str, str]:
    """A reminder by SMS that waits, and the number that it would go to."""
    with busy_app.database.transaction() as transaction:
        found = transaction.execute(
            "SELECT id, patient_id FROM notifications"
            " WHERE kind = 'reminder' AND channel = 'sms' AND status = 'pending' ORDER BY id LIMIT 1"
        ).fetchall()
    ((message, patient_id),) = found
    return str(message), f"+491510{int(patient_id.removeprefix('pat-')):07}"


def test_who_may_read_sees_the_recipient_and_what_it_says(
    busy_server: Server, waiting: tuple[str, str], enter: Enter
) -> None:
    message, number = waiting
    page = enter("User").open(f"#messages/{message}")
    expect(page.locator(".facts").first).to_contain_text(f"Recipient{number}")
    expect(page.locator("main")).not_to_contain_text("•••")
    expect(page.get_by_role("button", name="Cancel it…")).to_have_count(0)


def test_a_viewer_sees_that_there_is_a_recipient_and_a_text(
    busy_server: Server, waiting: tuple[str, str], enter: Enter
) -> None:
    message, number = waiting
    page = enter("Viewer").open(f"#messages/{message}")
    shown = page.locator("main")
    expect(shown).to_contain_text(f"Recipient+49 ••• {number[-3:]}")
    expect(shown).to_contain_text("not what it says")
    for secret in (number[3:-3], "Cardiology", "Orthopaedics", "Eye clinic", "Radiology", "Day surgery"):
        expect(shown).not_to_contain_text(secret)
    expect(shown.get_by_role("button")).to_have_count(0)


def test_programs_in_names_and_places_are_text(
    busy_app: App, busy_server: Server, busy_day: BelievableDay, enter: Enter
) -> None:
    (message, *_) = ids(busy_app, f"patient_id = '{busy_day.hostile_patient}' AND kind = 'reminder'")
    page = enter("User").open(f"#messages/{message}")
    expect(page.locator("main")).to_contain_text(HOSTILE_NAME)
    expect(page.locator("main")).to_contain_text(HOSTILE_VENUE)
    assert page.locator("main img, main script").count() == 0
    assert page.title() == "Messages · Notifications"
