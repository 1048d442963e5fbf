"""Whether a view can be used by everybody: on a narrow phone, in light and dark, and by assistive technology."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.integration.page.browser import PHONE, WIDE

_AXE = Axe()
_GRAVE = {"serious", "critical"}


def obstacles(page: Page) -> list[str]:
    """What keeps somebody from using what is shown now: on a wide dark screen first, then on a narrow light one."""
    found = []
    for scheme, size in (("dark", WIDE), ("light", PHONE)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.set_viewport_size(size)  # type: ignore[arg-type]
        found += [f"{scheme}: {obstacle}" for obstacle in (*_too_wide(page), *_violations(page))]
    return found


def _too_wide(page: Page) -> list[str]:
    width, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return [f"{width} pixels wide where there is room for {room}"] if width > room else []


def _violations(page: Page) -> list[str]:
    """What axe-core calls serious or critical, with where it is."""
    violations = _AXE.run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']} at {', '.join(node['target'][0] for node in one['nodes'][:3])}"
        for one in violations
        if one["impact"] in _GRAVE
    ]
