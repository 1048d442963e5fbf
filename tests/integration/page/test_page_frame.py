"""The frame around the views: who sees which tabs, and what is said when nobody is there."""

from __future__ import annotations

import pytest

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
