"""The hours of the hospital's day in which messages that are not urgent may go out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_PATTERN = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})")
_MINUTES_OF_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class SendWindow:
    """`opens_minute` and `closes_minute` are minutes after local midnight; the closing minute is excluded."""

    opens_minute: int
    closes_minute: int

    @classmethod
    def parse(cls, text: str) -> SendWindow:
        """Read `HH:MM-HH:MM`; `24:00` is the end of the day. Raises ValueError with what is wrong."""
        match = _PATTERN.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not of the form HH:MM-HH:MM, for example 09:00-12:00")
        open_hour, open_minute, close_hour, close_minute = (int(part) for part in match.groups())
        window = cls(open_hour * 60 + open_minute, close_hour * 60 + close_minute)
        if max(open_minute, close_minute) > 59 or window.closes_minute > _MINUTES_OF_A_DAY:
            raise ValueError(f"{text!r} holds a time that no clock shows")
        if window.opens_minute >= window.closes_minute:
            raise ValueError(f"{text!r} closes before it opens")
        return window

    def bounds(self, day: date, timezone: ZoneInfo) -> tuple[datetime, datetime]:
        """When the window of that local day opens and closes, as instants in UTC (RFC 5545 rules at DST gaps)."""
        opens = _instant(day, self.opens_minute, timezone)
        # A time that the clocks leave out falls an hour later, which may be after the window's end: it is empty then.
        return opens, max(opens, _instant(day, self.closes_minute, timezone))

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in (self.opens_minute, self.closes_minute))


def _instant(day: date, minute: int, timezone: ZoneInfo) -> datetime:
    """Wall-clock time, not elapsed time: 09:00 is 09:00 on the days when the clocks change too."""
    if minute == _MINUTES_OF_A_DAY:
        day, minute = day + timedelta(days=1), 0
    return datetime.combine(day, time(minute // 60, minute % 60), tzinfo=timezone).astimezone(UTC)


def local_day(instant: datetime, timezone: ZoneInfo) -> date:
    """The hospital's calendar day that an instant falls on."""
    return instant.astimezone(timezone).date()


def day_bounds(day: date, timezone: ZoneInfo) -> tuple[datetime, datetime]:
    """First instant of a local day and of the next one (23, 24 or 25 hours apart)."""
    return _instant(day, 0, timezone), _instant(day, _MINUTES_OF_A_DAY, timezone)
