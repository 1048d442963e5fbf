"""The view of alerts: what happened, how bad it is, whether it is over and mailed, and what to do about it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from carenotify.app import App
from tests.integration.page.accessibility import obstacles
from tests.integration.page.believable_day import BelievableDay
from tests.integration.page.browser import Server
from tests.integration.page.conftest import Enter


def opened(enter: Enter, role: str = "Viewer") -> Page:
    page = enter(role).open("#alerts")
    page.get_by_role("heading", name="Alerts", exact=True).wait_for()
    return page


def test_each_alert_says_what_happened_how_it_stands_what_to_do_and_leads_there(
    busy_server: Server, enter: Enter, busy_app: App
) -> None:
    page = opened(enter)
    alerts = page.get_by_role("list", name="Alerts, newest first").locator("> li")
    expect(alerts).to_have_count(14)
    paused = alerts.filter(has_text="Sending is paused")
    expect(paused).to_contain_text("Goes on")
    expect(paused).to_contain_text("Not mailed yet")
    expect(paused).to_contain_text("Ask whoever paused it whether it is still wanted")
    no_plan = alerts.filter(has_text="The day's reminders were not planned")
    expect(no_plan).to_contain_text("Over after 25 min mailed Sat 21 Nov, 09:31")
    failed = alerts.filter(has_text="30003")
    expect(failed).to_contain_text("Messages failed, and nobody was reached (4)")
    expect(failed).to_contain_text("Look today")
    expect(page.locator("main")).to_contain_text("2 alerts wait to be mailed")

    listed = failed.get_by_role("link", name="Open the list of messages")
    assert listed.get_attribute("href") == "#messages?status=failed&reason=carrier&channel=sms"
    with busy_app.database.transaction() as transaction:
        ids = transaction.execute("SELECT id FROM notifications WHERE reason = 'carrier' AND error_code = '30003'")
        expected = {f"#messages/{row[0]}" for row in ids}
    samples = failed.get_by_role("link", name=re.compile("^Message ")).all()
    assert {link.get_attribute("href") for link in samples} == expected
    run = page.get_by_role("listitem").filter(has_text="A DAG run failed").get_by_role("link", name="Open the run")
    assert run.evaluate("link => link.pathname") == "/dags/send_reminders/runs/scheduled__2026-11-23"
    assert run.get_attribute("target") == "_top"


def test_a_held_load_says_why_what_it_lacks_how_to_let_it_in_and_where_its_run_is(
    busy_server: Server, enter: Enter
) -> None:
    held = opened(enter).get_by_role("listitem").filter(has_text="A load of appointments is held")
    expect(held).to_contain_text(
        "scheduled__2026-11-24T05 · patients would be told of 612 changes ahead; days that did"
    )
    expect(held).to_contain_text("release_run_id")
    run = held.get_by_role("link", name="Open the run in Airflow")
    assert run.evaluate("link => link.pathname") == "/dags/ingest_appointments/runs/scheduled__2026-11-24T05"


def test_older_alerts_are_on_the_following_pages(busy_server: Server, enter: Enter) -> None:
    visitor = enter("User")
    page = visitor.open()
    page.route("**/v1/alerts?*", lambda route: route.continue_(url=route.request.url.replace("limit=25", "limit=5")))
    page.evaluate("location.hash = '#alerts'")
    titles = page.get_by_role("list", name="Alerts, newest first").get_by_role("heading")
    expect(titles).to_have_count(5)
    first = titles.all_text_contents()
    page.get_by_role("link", name="Next →").click()
    expect(titles.first).not_to_have_text(first[0])
    expect(titles.first).to_contain_text("Messages are due and nobody sends them")
    page.get_by_role("link", name="Newest").click()
    expect(titles.first).to_have_text(first[0])


def test_it_says_so_when_all_is_well(server: Server, enter: Enter) -> None:
    page = opened(enter)
    expect(page.locator("main")).to_contain_text("All is well")
    expect(page.locator("main")).not_to_contain_text("to be mailed")


def test_everybody_can_use_it(busy_server: Server, busy_day: BelievableDay, enter: Enter) -> None:
    page = opened(enter)
    page.get_by_role("list", name="Alerts, newest first").wait_for()
    assert obstacles(page) == []
