"""The day's report speaks in plain words, and in those of the page."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping

import pytest

from carenotify.api.routes.page import FOLDER
from carenotify.domain import schedule
from carenotify.domain.dead_letter import REASONS, BrokerReason
from carenotify.domain.fallback import MENDS
from carenotify.domain.kinds import KINDS
from carenotify.domain.notification import LIVING, Channel, Status
from carenotify.domain.receipt import SuppressionReason
from carenotify.domain.report_words import (
    CHANNELS,
    ENDINGS,
    FAILURES,
    LOADS,
    SKIPS,
    SUPPRESSIONS,
    count,
    share,
    word,
)
from carenotify.domain.report_words import KINDS as KIND_WORDS
from carenotify.metrics.words import REFUSALS
from carenotify.storage.migrations.versions import r0001_main_job

# Of these a message does not end: it waits, or another one took its place, or there is no notification behind it.
_NO_END = {"paused", "rate_limited", "put_back", "appointment_changed", "in_quarantine"}
_NO_REMINDER = {BrokerReason.NOT_AN_ENVELOPE, BrokerReason.UNKNOWN_NOTIFICATION}


def on_the_page(file: str, table: str) -> dict[str, str]:
    """The names of `const TABLE = {…};` in a script of the page, with the first word that each has there."""
    body = re.search(rf"^const {table} = \{{(.*?)\}};$", (FOLDER / file).read_text(), re.MULTILINE | re.DOTALL)
    assert body is not None
    return dict(re.findall(r'(?:^|[{,]|\n)\s*(\w+): \[?\s*"([^"]+)"', body[1]))


def test_every_reason_for_which_a_reminder_does_not_arrive_has_its_words() -> None:
    assert FAILURES.keys() >= {*REASONS, *MENDS, *REFUSALS, "complaint"} - _NO_END - _NO_REMINDER
    assert FAILURES.keys() >= ENDINGS.keys()


def test_every_status_of_a_message_that_reaches_nobody_has_its_words() -> None:
    assert ENDINGS.keys() == set(Status) - LIVING - {Status.SUPERSEDED}


@pytest.mark.parametrize(
    ("words", "file", "table"),
    [
        (CHANNELS, "words.js", "CHANNEL"),
        (KIND_WORDS, "words.js", "KIND"),
        (FAILURES, "letters.js", "REASONS"),
        (SKIPS, "views/reports.js", "SKIPS"),
    ],
    ids=["channels", "kinds", "failures", "skips"],
)
def test_what_the_page_has_words_for_is_called_the_same(words: Mapping[str, str], file: str, table: str) -> None:
    page = on_the_page(file, table)
    both = words.keys() & page.keys()
    assert len(both) >= len(words) / 2
    assert {name: words[name] for name in both} == {name: page[name] for name in both}


def test_how_a_message_ended_is_said_as_its_status_is_on_the_page() -> None:
    page = on_the_page("words.js", "STATUS")
    assert {name: said.capitalize() for name, said in ENDINGS.items()} == {name: page[name] for name in ENDINGS}
    for name in ("expired", "cancelled", "unsubscribed"):
        assert FAILURES[name] == page[name]


def test_every_reason_for_which_nobody_is_told_has_its_words() -> None:
    functions = (schedule.skip_reason, schedule._why_unreachable)
    returned = {
        constant.value
        for function in functions
        for node in ast.walk(ast.parse(inspect.getsource(function)))
        if isinstance(node, ast.Return) and node.value is not None
        for constant in ast.walk(node.value)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }
    assert {"deceased", "no_contact"} <= returned
    assert SKIPS.keys() == returned | schedule.REASONS_OF_APPOINTMENTS | {schedule.UNREADABLE}


def test_every_way_in_which_a_load_stands_has_its_words() -> None:
    table = inspect.getsource(r0001_main_job).partition("CREATE TABLE ingest_runs")[2]
    named = re.search(r"CHECK \(status IN \(([^)]*)\)\)", table)
    assert named is not None
    assert LOADS.keys() == set(re.findall(r"'([a-z]+)'", named[1]))


def test_every_reason_for_which_an_address_is_left_alone_has_its_words() -> None:
    assert SUPPRESSIONS.keys() == set(SuppressionReason)


def test_every_channel_and_kind_has_its_words() -> None:
    assert CHANNELS.keys() >= set(Channel)
    assert KIND_WORDS.keys() >= KINDS.keys()


def test_a_name_without_words_is_shown_without_underscores() -> None:
    assert word(SKIPS, "lost_in_the_post") == "Lost in the post"


@pytest.mark.parametrize(
    ("part", "told"),
    [(1, "100.0 %"), (0.9899999, "98.9 %"), (0.99, "99.0 %"), (7933 / 7934, "99.9 %"), (0.29, "29.0 %"), (0, "0.0 %")],
)
def test_a_share_is_never_rounded_up_to_a_target_that_it_misses(part: float, told: str) -> None:
    assert share(part) == told


def test_one_is_not_told_in_the_plural() -> None:
    assert (count(1, "day"), count(0, "day"), count(2041, "entry", "entries")) == ("1 day", "0 days", "2,041 entries")
