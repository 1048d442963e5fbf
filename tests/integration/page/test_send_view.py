"""Sending by hand: seen before it goes, sent once however often it is pressed, and only by those who may."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from carenotify.app import App
from tests.integration.page.accessibility import obstacles
from tests.integration.page.believable_day import BelievableDay
from tests.integration.page.browser import Server
from tests.integration.page.conftest import Enter
from tests.integration.ward import Hospital

TEXT = "Bitte bringen Sie Ihre Brille mit."
BY_HAND = "SELECT count(*)::int FROM notifications WHERE kind = 'message'"


@pytest.fixture
def hospital(busy_app: App) -> Hospital:
    """The day's database. What these tests send is added to it, and counted from what was there before."""
    return Hospital(busy_app.database)


def opened(enter: Enter, place: str = "#send") -> Page:
    page = enter("Op").open(place)
    page.get_by_role("button", name="Preview").wait_for()
    return page


def fill_in(page: Page, patient: str, *, text: str = TEXT) -> None:
    page.get_by_label("Subject").fill("Ihre Brille")
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_label("Patient's id").fill(patient)


def look(page: Page) -> None:
    with page.expect_response("**/notifications/preview"):
        page.get_by_role("button", name="Preview").click()


def test_a_message_is_seen_before_it_goes_and_a_double_click_sends_it_once(
    busy_server: Server, enter: Enter, hospital: Hospital
) -> None:
    page = opened(enter)
    before = hospital.query(BY_HAND)[0][0]
    fill_in(page, "pat-0038")
    page.get_by_label("SMS").check()
    look(page)
    sms = page.get_by_role("article", name="SMS, as it would be sent")
    expect(sms).to_contain_text(TEXT)
    expect(sms).to_contain_text(re.compile(r"in German, \d+ characters in GSM-7, 1 segment"))
    assert hospital.query(BY_HAND) == [(before,)]  # nobody has sent it yet

    page.get_by_label("Text", exact=True).fill("Something else")
    expect(page.get_by_role("button", name="Send now")).to_be_disabled()
    page.get_by_label("Text", exact=True).fill(TEXT)
    page.get_by_role("button", name="Send now").dblclick()
    link = page.get_by_role("link", name=re.compile("^Message "))
    expect(link).to_be_visible()
    assert hospital.query(BY_HAND) == [(before + 1,)]
    [(sent, actor)] = hospital.query(
        "SELECT n.id, k.caller FROM notifications n JOIN idempotency_keys k ON n.id = ANY(k.notification_ids)"
        " WHERE k.key LIKE 'page-%%'"
    )
    assert (link.get_attribute("href"), actor) == (f"#messages/{sent}", "person:op")


def test_what_was_accepted_although_no_answer_came_is_not_sent_again_with_another_text(
    busy_server: Server, enter: Enter, hospital: Hospital
) -> None:
    visitor = enter("Op")
    visitor.allow("ERR_FAILED|422")
    page = visitor.open("#send")
    before = hospital.query(BY_HAND)[0][0]
    fill_in(page, "pat-0001")
    look(page)

    def lose_the_answer(route) -> None:  # type: ignore[no-untyped-def]
        route.fetch()
        route.abort()

    page.route("**/v1/notifications", lose_the_answer)
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    page.unroute("**/v1/notifications")
    page.get_by_label("Text", exact=True).fill("Another text")
    look(page)
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_role("alert")).to_contain_text("This form was sent before with another text")
    assert hospital.query(BY_HAND) == [(before + 1,)]
    page.get_by_role("button", name="Begin a new form").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value("")


def test_a_later_time_is_the_hospitals_and_mail_is_shown_as_it_will_look(
    busy_server: Server, enter: Enter, hospital: Hospital
) -> None:
    page = opened(enter)  # by a browser in New York
    fill_in(page, "pat-0038", text="<b>Bold</b> <script>document.title='hacked'</script>")
    page.get_by_label("At a time of its own").check()
    page.get_by_label("Day", exact=True).fill("2026-11-25")
    page.get_by_label("Time", exact=True).fill("14:30")
    expect(page.locator("form")).to_contain_text(
        "Wednesday, 25 November 2026, 14:30, on the hospital's clocks (Europe/Berlin)"
    )
    look(page)
    mail = page.get_by_role("article", name="E-mail, as it would be sent")
    expect(mail).to_contain_text("Ihre Brille")
    mail.get_by_text("As formatted mail").click()
    body = mail.frame_locator("iframe").locator("body")
    expect(body).to_contain_text("<b>Bold</b>")
    expect(body).to_have_css("padding-left", "12px")  # of mail.css, the only styles that are let in
    assert obstacles(page) == []
    page.get_by_role("button", name="Send at Wed 25 Nov, 14:30 on 2 channels").click()
    expect(page.get_by_text("It goes out on Wed 25 Nov, 14:30.")).to_be_visible()
    due = hospital.query(
        "SELECT count(*)::int FROM notifications WHERE kind = 'message' AND due_at = '2026-11-25 13:30Z'"
    )
    assert due == [(2,)]
    assert page.title() == "Send · Notifications"


def test_it_says_what_is_missing_who_is_unknown_and_why_nobody_would_be_told(
    busy_server: Server, busy_day: BelievableDay, enter: Enter
) -> None:
    visitor = enter("Op")
    visitor.allow("422")
    page = visitor.open("#send")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Fill this in.")).to_have_count(3)
    expect(page.get_by_label("Subject")).to_be_focused()
    fill_in(page, "nobody")
    look(page)
    expect(page.get_by_label("Patient's id")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("This is not a patient who is known here.")).to_be_visible()
    page.get_by_label("Patient's id").fill(busy_day.silent_patient)
    look(page)
    expect(page.get_by_text("Nobody would be told.")).to_be_visible()
    expect(page.get_by_text("No address of the patient is known.")).to_be_visible()
    expect(page.get_by_role("button", name="Send now")).to_have_count(0)


def test_who_may_not_send_is_shown_no_form_and_refused_by_the_server(busy_server: Server, enter: Enter) -> None:
    visitor = enter("User")
    visitor.allow("403")
    page = visitor.open("#send")
    expect(page.locator("main")).to_contain_text("There is no such page")
    expect(page.locator("form")).to_have_count(0)
    asked = """async () => (await fetch("../carenotify/v1/notifications", {
        method: "POST", body: "{}",
        headers: {"X-Carenotify-Request": "1", "Content-Type": "application/json", "Idempotency-Key": "k"}})).status"""
    assert page.evaluate(asked) == 403
