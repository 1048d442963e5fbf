from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify.domain.window import SendWindow, day_bounds, local_day

MORNING = SendWindow.parse("09:00-12:00")
# Europe, the Americas, half hours, midnights that do not exist or come twice, and a zone that never changes.
ZONES = [
    ZoneInfo(name)
    for name in (
        "Europe/Berlin",
        "Europe/London",
        "America/New_York",
        "America/Sao_Paulo",
        "America/Havana",
        "Africa/Cairo",
        "Asia/Beirut",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
        "America/St_Johns",
        "Pacific/Kiritimati",
    )
]
zones = st.sampled_from(ZONES)
days = st.dates(date(2013, 1, 1), date(2035, 12, 31))


@st.composite
def windows(draw: st.DrawFn) -> SendWindow:
    opens = draw(st.integers(0, 24 * 60 - 1))
    return SendWindow(opens, draw(st.integers(opens + 1, 24 * 60)))


@pytest.mark.parametrize(
    "text", ["9-12", "", "09:00", "09:00\N{EN DASH}12:00", "09:00-12:00-13:00", "nine", "9:00-12:00", "-"]
)
def test_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form HH:MM-HH:MM, for example 09:00-12:00") as caught:
        SendWindow.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["09:60-12:00", "09:00-11:99", "09:00-24:01", "09:00-25:00", "25:00-26:00"])
def test_a_time_that_no_clock_shows_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' holds a time that no clock shows"):
        SendWindow.parse(text)


@pytest.mark.parametrize("text", ["12:00-09:00", "09:00-09:00", "24:00-24:00"])
def test_a_window_that_closes_before_it_opens_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' closes before it opens"):
        SendWindow.parse(text)


@given(windows())
def test_a_window_reads_back_as_it_is_written(window: SendWindow) -> None:
    assert SendWindow.parse(f" {window} ") == window


def test_24_is_the_end_of_the_day_also_when_that_day_is_long() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    whole = SendWindow.parse("00:00-24:00")
    for day in (date(2026, 3, 29), date(2026, 10, 25), date(2026, 12, 31)):
        assert whole.bounds(day, berlin) == day_bounds(day, berlin)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # no midnight: 00:00 became 01:00
        ("America/Sao_Paulo", date(2018, 2, 17), 25),
        ("Africa/Cairo", date(2026, 4, 24), 23),  # no midnight either
        ("America/Havana", date(2026, 11, 1), 25),  # two midnights
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Asia/Kolkata", date(2026, 3, 29), 24),
        ("Pacific/Apia", date(2011, 12, 30), 0),  # a day that was left out
    ],
)
def test_a_day_has_as_many_hours_as_its_zone_gives_it(zone: str, day: date, hours: float) -> None:
    first, last = day_bounds(day, ZoneInfo(zone))
    assert last - first == timedelta(hours=hours)


def test_a_day_without_a_midnight_begins_at_one() -> None:
    cairo = ZoneInfo("Africa/Cairo")
    first, _ = day_bounds(date(2026, 4, 24), cairo)
    assert first.astimezone(cairo).time() == time(1)
    assert local_day(first, cairo) == date(2026, 4, 24)
    assert local_day(first - timedelta(microseconds=1), cairo) == date(2026, 4, 23)


@pytest.mark.parametrize("day", [date(2026, 3, 28), date(2026, 3, 29), date(2026, 10, 25), date(2026, 10, 26)])
def test_nine_is_nine_around_both_changes_of_the_clocks(day: date) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    opens, closes = (bound.astimezone(berlin) for bound in MORNING.bounds(day, berlin))
    assert (opens.date(), opens.time(), closes.time()) == (day, time(9), time(12))


@pytest.mark.parametrize("text", ["02:30-03:00", "02:00-03:00", "02:30-02:45", "01:30-02:30"])
def test_a_window_in_the_hour_that_is_left_out_never_closes_before_it_opens(text: str) -> None:
    opens, closes = SendWindow.parse(text).bounds(date(2026, 3, 29), ZoneInfo("Europe/Berlin"))
    assert opens <= closes


@given(windows(), days, zones)
def test_a_window_opens_before_it_closes_in_every_zone_on_every_day(
    window: SendWindow, day: date, zone: ZoneInfo
) -> None:
    opens, closes = window.bounds(day, zone)
    assert opens.tzinfo is closes.tzinfo is UTC
    assert opens <= closes


@given(windows(), days, zones)
def test_a_window_opens_at_its_wall_clock_time_wherever_that_time_exists(
    window: SendWindow, day: date, zone: ZoneInfo
) -> None:
    asked = datetime.combine(day, time(window.opens_minute // 60, window.opens_minute % 60), tzinfo=zone)
    opens = window.bounds(day, zone)[0].astimezone(zone)
    if asked.astimezone(UTC).astimezone(zone).time() == asked.time():
        assert (opens.date(), opens.time()) == (day, asked.time())
    else:
        assert opens.date() == day
        assert opens.time() > asked.time()


@given(days, zones)
def test_days_follow_each_other_without_a_gap(day: date, zone: ZoneInfo) -> None:
    first, end = day_bounds(day, zone)
    assert end == day_bounds(day + timedelta(days=1), zone)[0]
    assert local_day(first, zone) == local_day(end - timedelta(microseconds=1), zone) == day
    assert local_day(end, zone) == day + timedelta(days=1)
