"""The first view: the day's figures are those of the API, change by themselves, and say so when they cannot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from carenotify.app import App
from carenotify.domain.kinds import MESSAGE, MessageData
from carenotify.domain.notification import Channel
from carenotify.journeys.pause_sending import pause_sending
from carenotify.journeys.request_notification import Wish
from tests.integration.api.desk import TOKENS
from tests.integration.page.believable_day import BelievableDay
from tests.integration.page.browser import Server
from tests.integration.page.conftest import Enter
from tests.integration.ward import Hospital, SetClock, wait_for

ASK_AT_ONCE = "dispatchEvent(new Event('online'))"
GROUPS = ("waiting", "sent", "delivered", "failed")


def overview_of(server: Server) -> Any:
    headers = {"Authorization": f"Bearer {next(iter(TOKENS))}"}
    return server.flask.test_client().get("/carenotify/v1/overview", headers=headers).get_json()


def figure(page: Page, name: str) -> str:
    return page.locator(".figure", has=page.get_by_text(name, exact=True)).locator(".big").inner_text()


def plan(app: App) -> None:
    app.reminder_planner.plan(app.clock().date())


def test_the_figures_are_those_of_the_api(busy_server: Server, enter: Enter) -> None:
    page = enter("Viewer").open()
    told = overview_of(busy_server)
    page.locator(".figures").wait_for()
    assert figure(page, "Due") == str(told["patient_days_due"])
    for group in GROUPS:
        assert figure(page, group.title()) == str(sum(each[group] for each in told["by_channel"].values()))
    assert figure(page, "Reached") == f"{int(told['reached_share'] * 1000) / 10:.1f} %"
    chips = dict(text.rsplit(" ", 1) for text in page.locator(".chip").all_inner_texts())
    assert sorted(map(int, chips.values())) == sorted(told["by_status"].values())


def test_the_chart_says_the_same_to_those_who_do_not_see_it(busy_server: Server, enter: Enter) -> None:
    page = enter("Viewer").open()
    points = overview_of(busy_server)["timeline"]["points"]
    sums = {name: sum(point[name] for point in points) for name in ("sent", "delivered", "failed")}
    words = ", ".join(f"{number} {name}" for name, number in sums.items())
    expect(page.get_by_role("img", name=f"From 09:00 to 12:00: {words}.")).to_be_visible()
    page.get_by_text("The same as a table").click()
    rows = page.locator(".figures-table tbody tr")
    expect(rows).to_have_count(len(points))
    first = points[0]
    expect(rows.first.locator("td")).to_have_text([str(first[name]) for name in sums])


def test_a_status_leads_to_its_messages(busy_server: Server, enter: Enter) -> None:
    page = enter("Viewer").open()
    page.locator(".chip", has_text="Bounced").click()
    expect(page.get_by_role("row")).to_have_count(1 + overview_of(busy_server)["by_status"]["bounced"])


def test_what_changes_appears_without_reloading_and_what_does_not_is_not_sent_again(
    app: App, server: Server, hospital: Hospital, enter: Enter
) -> None:
    visitor = enter("Viewer")
    visitor.context.clock.install()
    page = visitor.open()
    expect(page.locator("main")).to_contain_text("No plan has been made today")
    time_passes(page, lambda: 304 in visitor.statuses("overview"))
    hospital.add_patient()
    hospital.add_appointment()
    plan(app)
    time_passes(page, lambda: page.locator(".figures").count() == 1)
    assert (figure(page, "Due"), figure(page, "Waiting")) == ("1", "2")
    assert len(visitor.statuses("me")) == 1


def time_passes(page: Page, condition: Callable[[], bool]) -> None:
    """Five seconds again and again, for the page; the server works an overview out every two seconds of our own."""

    def holds() -> bool:
        page.clock.run_for(5_000)
        page.wait_for_timeout(100)
        return condition()

    wait_for(holds)


def test_before_the_plan_nobody_is_counted_as_not_told(
    app: App, server: Server, hospital: Hospital, enter: Enter, clock: SetClock
) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    page = enter("Viewer").open()
    expect(page.locator("main")).to_contain_text("No plan has been made today")
    expect(page.locator(".figures")).to_have_count(0)
    page.get_by_role("link", name="Reports").click()
    expect(page.locator("main")).to_contain_text("This day is not planned yet")
    expect(page.locator("main")).to_contain_text("Tuesday, 24 November 2026 is not planned yet, and left out here")
    expect(page.locator(".figure", has_text="Untold")).to_have_count(0)

    data = MessageData(subject="Your glasses", text="Bring them.")
    app.notification_requester.request(Wish(MESSAGE, "anna", data, clock()), caller="person:op", key="1", body={})
    page.get_by_role("link", name="Today", exact=True).click()

    def asked_again() -> bool:
        page.evaluate(ASK_AT_ONCE)
        page.wait_for_timeout(200)
        return page.locator(".figures").count() == 1

    wait_for(asked_again)
    assert (figure(page, "Due"), figure(page, "Waiting")) == ("1", "2")
    expect(page.locator(".figure.reached")).to_contain_text("No plan has been made today.")
    expect(page.locator(".figure.bad, .reached.busy")).to_have_count(0)
    expect(page.locator("main")).not_to_contain_text("not reached")
    expect(page.locator(".notice")).to_contain_text("No plan has been made today. The send window opened at 09:00")


def test_the_figures_say_who_was_not_reached_and_measure_nobody_when_nobody_is_due(
    busy_server: Server, busy_app: App, enter: Enter
) -> None:
    shown = overview_of(busy_server)
    page = enter("Viewer").open("#alerts")

    def seen(name: str, **changes: Any) -> Locator:
        page.unroute("**/v1/overview")
        page.route("**/v1/overview", lambda route: route.fulfill(json=shown | changes))
        page.evaluate(ASK_AT_ONCE)
        return page.locator(".figure", has=page.get_by_text(name, exact=True))

    page.get_by_role("link", name="Today", exact=True).click()
    left = shown["patient_days_due"] - shown["patient_days_reached"]
    expect(seen("Failed")).to_contain_text(f"{left} patients not reached yet")
    everybody = {"patient_days_reached": shown["patient_days_due"], "reached_share": 1.0}
    expect(seen("Failed", **everybody)).to_contain_text("every patient reached")
    nobody = {"patient_days_due": 0, "patient_days_reached": 0, "reached_share": None, "untold": 0}
    expect(seen("Reached", **nobody)).to_contain_text("Nobody is due.")
    expect(page.locator(".reached.good, .reached.bad")).to_have_count(0)
    before = {"planned_at": None, "now": shown["day"] + "T07:00:00Z"}
    expect(seen("Reached", **before)).to_contain_text("The plan is made when the window opens at 09:00.")
    just_open = {"planned_at": None, "now": shown["day"] + "T08:01:00Z"}
    expect(seen("Reached", **just_open)).to_contain_text("The window has just opened, and the plan is being made.")
    expect(page.locator(".notice", has_text="No plan")).to_have_count(0)
    day_long = {"opens_at": shown["day"] + "T00:00:00+01:00", "closes_at": shown["day"] + "T23:59:59+01:00"}
    seen("Reached", window=day_long)
    expect(page.get_by_role("img", name="From 08:00 to 10:30")).to_be_visible()
    expect(page.locator(".mark.now")).to_have_count(1)


def test_an_empty_hospital_is_told_so_in_words(server: Server, enter: Enter, clock: SetClock) -> None:
    clock.now -= timedelta(hours=3)
    page = enter("Op").open()
    expect(page.locator("main")).to_contain_text("Nothing to send yet")
    expect(page.locator("main")).to_contain_text("The send window opens at 09:00, in 2 h 30 min")
    expect(page.locator(".figures, .chart")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("No alerts so far")


def test_a_server_that_goes_away_is_said_and_its_return_too(
    server: Server, enter: Enter, hospital: Hospital, app: App
) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    plan(app)
    visitor = enter("Viewer")
    visitor.allow("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET")
    page = visitor.open()
    page.locator(".figures").wait_for()
    server.stop()
    page.evaluate(ASK_AT_ONCE)
    expect(page.locator(".stale")).to_contain_text("The server cannot be reached. Since")
    assert figure(page, "Due") == "1"
    server.start()
    page.evaluate(ASK_AT_ONCE)
    expect(page.locator(".stale")).to_have_text("")
    expect(page.locator(".who")).to_contain_text("Live")


def test_sending_is_paused_and_resumed_after_a_question(server: Server, enter: Enter, app: App) -> None:
    page = enter("Op").open()
    page.get_by_role("button", name="Pause…").click()
    page.get_by_role("dialog", name="Pause sending?").get_by_label("Channel").select_option("SMS")
    page.get_by_role("dialog").get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".toasts")).to_contain_text("Paused: SMS.")
    expect(page.locator(".notice")).to_contain_text("Sending by SMS is paused.")
    page.get_by_role("button", name="Resume…").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.locator(".notice")).to_have_count(0)
    page.get_by_role("button", name="Pause…").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".toasts")).to_contain_text("Paused: all channels.")
    page.get_by_role("button", name="Resume…").click()
    dialog = page.get_by_role("dialog", name="Go on sending?")
    expect(dialog.get_by_role("option")).to_have_text(["All channels"])  # one alone would not lift a pause of all
    expect(dialog).to_contain_text("Everything is paused, so it goes on for all channels together")
    dialog.get_by_role("button", name="Resume").click()
    expect(page.locator(".toasts")).to_contain_text("Sending goes on: all channels.")


@pytest.mark.parametrize("role", ["Viewer", "User"])
def test_who_may_not_pause_sees_that_it_is_paused_and_no_button(
    server: Server, enter: Enter, app: App, role: str
) -> None:
    with app.database.transaction() as transaction:
        pause_sending(transaction, Channel.EMAIL, by="person:op", now=app.clock())
    page = enter(role).open()
    expect(page.locator(".notice")).to_contain_text("Sending by e-mail is paused.")
    expect(page.locator("main").get_by_role("button")).to_have_count(0)


def test_alerts_say_what_to_do_and_say_it_once(busy_server: Server, busy_day: BelievableDay, enter: Enter) -> None:
    page = enter("Viewer").open()
    shown = overview_of(busy_server)["alerts"][:6]
    items = page.locator(".alerts li")
    expect(items).to_have_count(len(shown))
    for item, alert in zip(items.all(), shown, strict=True):
        assert alert["title"] in item.inner_text()
    advice = page.locator(".todo").all_inner_texts()
    assert advice == list(dict.fromkeys(one["what_to_do"] for one in shown if one["resolved_at"] is None))
