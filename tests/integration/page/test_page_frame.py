"""The frame around the views: who sees which tabs, and what is said when nobody is there."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.integration.page.browser import Server
from tests.integration.page.conftest import Enter


@pytest.mark.parametrize(
    ("role", "titles"),
    [
        ("Viewer", ["Today", "Messages", "Reports", "Alerts"]),
        ("User", ["Today", "Messages", "Dead letters", "Reports", "Alerts"]),
        ("Op", ["Today", "Messages", "Dead letters", "Send", "Reports", "Alerts"]),
    ],
)
def test_everybody_sees_the_tabs_that_their_role_opens(
    busy_server: Server, enter: Enter, role: str, titles: list[str]
) -> None:
    page = enter(role).open()
    shown = page.get_by_role("navigation", name="Views").get_by_role("link")
    assert shown.evaluate_all("links => links.map(link => link.firstChild.textContent.trim())") == titles


def test_nobody_is_shown_the_way_to_airflows_login(server: Server, enter: Enter) -> None:
    visitor = enter(None)
    visitor.allow("401")
    page = visitor.open()
    expect(page.locator("main")).to_contain_text("You are not logged in")
    assert page.get_by_role("link", name="Log in to Airflow").get_attribute("href") == server.url.removesuffix(
        "carenotify/page"
    )


def test_a_role_without_rights_is_told_so(server: Server, enter: Enter) -> None:
    visitor = enter("Guest")
    visitor.allow("403")
    expect(visitor.open().locator("main")).to_contain_text("Nothing to see with your role")


def test_a_login_that_ends_is_said_and_what_was_seen_stays(busy_server: Server, enter: Enter) -> None:
    visitor = enter("Viewer")
    visitor.allow("401")
    page = visitor.open()
    page.locator(".figures").wait_for()
    visitor.context.clear_cookies()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator(".stale")).to_contain_text("You are no longer logged in. Log in to Airflow")
    expect(page.locator(".figures")).to_be_visible()
    visitor.log_in_as("Op")
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator(".who")).to_contain_text("op")


def test_what_the_server_says_is_shown_and_slowness_is_not_called_away(busy_server: Server, enter: Enter) -> None:
    visitor = enter("Viewer")
    visitor.allow("503")
    page = visitor.open()
    page.locator(".figures").wait_for()
    page.route("**/v1/overview", lambda route: route.fulfill(status=503, json={"detail": "The database is away."}))
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator(".stale")).to_contain_text("The database is away. Since")
    page.unroute("**/v1/overview")
    page.route("**/v1/overview", lambda _: None)
    page.evaluate("AbortSignal.timeout = ((real) => () => real.call(AbortSignal, 50))(AbortSignal.timeout)")
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator(".stale")).to_contain_text("No answer within 20 seconds; it may still be at it. Since")


@pytest.mark.parametrize(("view", "shown"), [("alerts", "Sending is paused"), ("dead-letters", "By reason")])
def test_a_list_that_the_server_puts_off_is_asked_for_again_by_itself_when_it_said_to(
    busy_server: Server, enter: Enter, view: str, shown: str
) -> None:
    visitor = enter("User")
    visitor.allow("503")
    page = visitor.open()
    page.locator(".figures").wait_for()  # no other news makes it ask again
    puts_off = {"status": 503, "headers": {"Retry-After": "1"}, "json": {"detail": "Too many lists."}}
    page.route(f"**/v1/{view}**", lambda route: route.fulfill(**puts_off), times=2)
    page.evaluate("view => { location.hash = view }", view)
    expect(page.get_by_role("alert").first).to_contain_text("Too many lists.")
    expect(page.locator("main")).to_contain_text(shown)
    expect(page.get_by_role("alert")).to_have_count(0)
    asked = [status for status, path in visitor.answers if path.startswith(f"/carenotify/v1/{view}")]
    assert asked == [503, 503, 200, *[200] * (view == "dead-letters")]  # which has two lists, each put off once


def test_an_address_that_is_none_leads_back(busy_server: Server, enter: Enter) -> None:
    page = enter("Viewer").open("#send")
    expect(page.locator("main")).to_contain_text("There is no such page")
    page.get_by_role("link", name="Go to Today").click()
    expect(page.locator(".figures")).to_be_visible()


def test_a_view_that_breaks_leaves_the_others_alone(busy_server: Server, enter: Enter) -> None:
    visitor = enter("Viewer")
    visitor.allow("TypeError")
    page = visitor.open("#reports")
    page.route("**/v1/notifications?*", lambda route: route.fulfill(json={"notifications": None, "cursor": None}))
    page.get_by_role("link", name="Messages", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("This view could not be shown. The others still work.")
    page.get_by_role("link", name="Today", exact=True).click()
    expect(page.locator(".figures")).to_be_visible()
