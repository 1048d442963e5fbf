from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from carenotify.domain.local_time import clock_time, long_date, short_date
from carenotify.errors import WordingError

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("instant", "told"),
    [
        (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), "01:30"),  # the clocks go from 02:00 to 03:00
        (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "03:30"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "02:30 CEST"),  # 02:30 comes twice
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "02:30 CET"),
        (datetime(2026, 10, 25, 2, 30, tzinfo=UTC), "03:30"),
        (datetime(2026, 7, 1, 8, 30, tzinfo=UTC), "10:30"),
        (datetime(2026, 12, 1, 8, 30, tzinfo=UTC), "09:30"),
    ],
)
def test_a_time_is_the_wall_clock_of_the_hospital(instant: datetime, told: str) -> None:
    assert clock_time(instant, "en", BERLIN) == told


@pytest.mark.parametrize(
    ("language", "short", "long", "time"),
    [
        ("en", "Tue 24 Nov", "Tuesday, 24 November 2026", "10:30"),
        ("en-US", "Tue, Nov 24", "Tuesday, November 24, 2026", "10:30\N{NARROW NO-BREAK SPACE}AM"),
        ("de", "Di., 24. Nov.", "Dienstag, 24. November 2026", "10:30"),
        ("de-AT", "Di., 24. Nov.", "Dienstag, 24. November 2026", "10:30"),
        ("fr", "mar. 24 nov.", "mardi 24 novembre 2026", "10:30"),
        (
            "tr",
            "24 Kas Sal",
            "24 Kas\N{LATIN SMALL LETTER DOTLESS I}m 2026 Sal\N{LATIN SMALL LETTER DOTLESS I}",
            "10:30",
        ),
    ],
)
def test_dates_and_times_are_in_the_language(language: str, short: str, long: str, time: str) -> None:
    day = date(2026, 11, 24)

    assert short_date(day, language) == short
    assert long_date(day, language) == long
    assert clock_time(datetime(2026, 11, 24, 10, 30, tzinfo=BERLIN), language, BERLIN) == time


@pytest.mark.parametrize("language", ["xx", "not a language", ""])
def test_an_unknown_language_is_named(language: str) -> None:
    with pytest.raises(WordingError, match=repr(language)):
        short_date(date(2026, 11, 24), language)
