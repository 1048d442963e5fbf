"""Each kind of alert has its section in docs/operations.md, where the mail sends its reader."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from zoneinfo import ZoneInfo

import pytest

from carenotify.config import Settings
from carenotify.domain.alert import ABOUT, Alert, AlertKind
from carenotify.journeys.word_alerts import word_alerts

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "operations.md").read_text()
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_LINK = re.compile(r"docs/operations\.md#(\w+)")
NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SETTINGS = cast(
    Settings,
    SimpleNamespace(
        public_url="http://reminders.example", hospital_name="St. Mary", timezone=ZoneInfo("Europe/Berlin")
    ),
)


def section(kind: AlertKind) -> str:
    return DOCUMENT.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("kind", AlertKind)
def test_a_mail_sends_its_reader_to_a_section_that_says_what_it_means_and_what_to_do(kind: AlertKind) -> None:
    details = {"told": "nobody"} if kind is AlertKind.DELIVERY_FAILED else {}
    alert = Alert(1, kind, "a subject", "sms", 1, details, NOW, None, None)
    mail = word_alerts([alert], message_id="<1@example.org>", settings=SETTINGS)
    for body in (mail.text, mail.html):
        assert set(_LINK.findall(body)) == {kind.value}
    assert {"**Means**", "**Look at**", "**Do**"} <= set(re.findall(r"\*\*[A-Z][a-z ]+\*\*", section(kind)))


def test_the_sections_begin_with_the_kinds_in_their_order_and_no_other_ones() -> None:
    assert _SECTION.findall(DOCUMENT)[: len(AlertKind)] == [kind.value for kind in AlertKind]


def test_every_kind_has_words_and_a_place_on_the_page() -> None:
    assert set(ABOUT) == set(AlertKind)
    for about in ABOUT.values():
        assert about.what_to_do.endswith(".")
        assert about.path.startswith("#")
