"""How delivery stands as a whole, in numbers: what monitoring looks at, whoever is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from carenotify.domain.breaker import BreakerState
from carenotify.domain.notification import Channel, Lane, Status


@dataclass(frozen=True, slots=True)
class Today:
    """The hospital's day [since, until) and its send window."""

    day: date
    since: datetime
    until: datetime
    opens: datetime
    closes: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """Notifications that were made today: by channel and status, and how many of them are special."""

    by_status: Mapping[tuple[Channel, Status], int]
    possible_duplicates: int
    fallbacks: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many wait, and for how long the oldest of them has (seconds, 0 when none does)."""

    count: int = 0
    oldest_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Loads:
    """Loads from the source: today's by status, those held now, and the newest that was taken over."""

    today: Mapping[str, int]
    held: int
    last_at: datetime | None
    last_rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """The newest plan of reminders, and today's: None while there is none."""

    last_at: datetime | None
    today: int | None


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    """What the database knows, as of one moment. Moments that have never come are None."""

    today: Today
    made: Made
    due: Mapping[tuple[Channel, Lane], Waiting]
    dead_letters: Mapping[str, int]
    breakers: Mapping[str, BreakerState]
    paused: frozenset[Channel]
    receipts_waiting: int
    change_events: Mapping[str, int]
    loads: Loads
    quarantine: Mapping[str, int]
    plan: Plan
    watched_at: datetime | None
    unmailed: Waiting
    alerts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PatientDays:
    """Patient-days that today's reminders are to tell, and those of them that were reached."""

    due: int
    reached: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found, None when it could not be read in time; `seconds` is how long reading the figures took."""

    figures: DeliveryFigures | None
    patient_days: PatientDays | None
    seconds: float
