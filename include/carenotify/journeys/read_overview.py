"""How the day goes, at a glance: what the page shows first, and asks for again and again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

from pydantic import AwareDatetime, BaseModel, ConfigDict

from carenotify.config import Settings
from carenotify.domain.breaker import Breaker
from carenotify.domain.clock import Clock
from carenotify.domain.notification import Channel, Status
from carenotify.domain.window import local_day
from carenotify.journeys.list_alerts import ListedAlert, listed
from carenotify.journeys.list_providers import standing
from carenotify.journeys.report_delivery import reported_day
from carenotify.journeys.share_answers import SharedAnswers
from carenotify.journeys.take_turns import Turns
from carenotify.storage import alerts, delivery_report, overview, provider_states, reminder_plans
from carenotify.storage.database import Database, Transaction
from carenotify.storage.delivery_report import ReportedDay
from carenotify.storage.pauses import paused_channels

TARGET_SHARE = 0.99
_ALERTS = 10
_GOOD_FOR_SECONDS = 2.0
_OLD_FOR_SECONDS = 10.0
_DAYS_KEPT = 8
_DATABASE_SECONDS = 3.0
_STATEMENT_SECONDS = 3

# What nobody has to do anything about, and what counts as failed: the same statuses that staff are alerted of.
_GROUP_OF = {
    Status.PENDING: "waiting",
    Status.QUEUED: "waiting",
    Status.SENDING: "waiting",
    Status.SENT: "sent",
    Status.DELIVERED: "delivered",
    Status.SUPERSEDED: "other",
    Status.CANCELLED: "other",
}


class Standing(BaseModel):
    """Notifications of a channel. Failed: failed, bounced, expired, suppressed or unsubscribed."""

    waiting: int = 0
    sent: int = 0
    delivered: int = 0
    failed: int = 0
    other: int = 0


class Window(BaseModel):
    """When reminders may go out that day."""

    opens_at: AwareDatetime
    closes_at: AwareDatetime


class Step(BaseModel):
    """What happened in the minutes from `at` on."""

    model_config = ConfigDict(from_attributes=True)

    at: AwareDatetime
    sent: int
    delivered: int
    failed: int


class Timeline(BaseModel):
    """The day in steps of so many minutes. Steps in which nothing happened are left out."""

    minutes: int
    points: list[Step]


class ProviderStanding(BaseModel):
    """How a provider stands, as in `GET /providers`."""

    model_config = ConfigDict(from_attributes=True)

    channel: str
    provider: str
    state: str
    since: AwareDatetime | None
    retry_at: AwareDatetime | None
    last_code: str | None


class Load(BaseModel):
    """How the newest load of appointments ended, and what it counted."""

    model_config = ConfigDict(from_attributes=True)

    finished_at: AwareDatetime
    status: str
    counts: dict[str, int]


class Overview(BaseModel):
    """A day at a glance; `now` is the time to the minute, so that an overview is the same until something happens.

    Due, reached and untold are the report's, in patient-days; `reached_share` is null when nobody was due.
    `by_channel` and `by_status` count the notifications of every kind that were made that day, as they stand now, and
    `changes_today` the changes of appointments that came in. `planned_at` is null while the day has no plan. Alerts are
    the last ten of all days; what is open, paused or down is so now, whatever the day.
    """

    day: date
    now: AwareDatetime
    timezone: str
    window: Window
    planned_at: AwareDatetime | None
    patient_days_due: int
    patient_days_reached: int
    reached_share: float | None
    target_share: float
    untold: int
    by_channel: dict[str, Standing]
    by_status: dict[str, int]
    changes_today: int
    timeline: Timeline
    dead_letters_open: int
    alerts: list[ListedAlert]
    alerts_unmailed: int
    paused: list[str]
    providers: list[ProviderStanding]
    last_load: Load | None


@dataclass(frozen=True, slots=True)
class WrittenOverview:
    """An overview as JSON; `version` is another one whenever anything in it is."""

    body: bytes
    version: str


class OverviewReader:
    """Tells how days go, and works each day out at most every two seconds, however many ask."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        provider_names: Mapping[Channel, Sequence[str]],
        clock: Clock,
        *,
        turns: Turns,
    ) -> None:
        self._database = database
        self._settings = settings
        self._provider_names = provider_names
        self._clock = clock
        self._written = SharedAnswers(
            self._write,
            good_for_seconds=lambda _: _GOOD_FOR_SECONDS,
            old_for_seconds=_OLD_FOR_SECONDS,
            at_most=_DAYS_KEPT,
            turns=turns,
        )

    def read(self, day: date | None = None) -> WrittenOverview:
        """The overview of a local day, today's when none is given. Raises DatabaseUnavailableError, TooBusyError."""
        return self._written.to(day or local_day(self._clock(), self._settings.timezone))

    def _write(self, day: date) -> WrittenOverview:
        body = self._look(day).model_dump_json().encode()
        return WrittenOverview(body, sha256(body).hexdigest()[:32])

    def _look(self, day: date) -> Overview:
        reported = reported_day(day, self._settings)
        bounds = {"since": reported.since, "until": reported.until}
        with self._database.transaction(timeout_seconds=_DATABASE_SECONDS) as transaction:
            overview.hold_still(transaction, statement_seconds=_STATEMENT_SECONDS)
            due = delivery_report.due(transaction, reported)
            made = overview.by_channel_and_status(transaction, **bounds)
            letters, unmailed = overview.waiting_for_people(transaction)
            last_load = overview.last_load(transaction)
            return Overview(
                day=day,
                now=self._clock().replace(second=0, microsecond=0),
                timezone=reported.timezone,
                window=Window(opens_at=reported.opens, closes_at=reported.closes),
                planned_at=reminder_plans.planned_at(transaction, day),
                patient_days_due=due.patient_days,
                patient_days_reached=due.patient_days_reached,
                reached_share=due.patient_days_reached / due.patient_days if due.patient_days else None,
                target_share=TARGET_SHARE,
                untold=due.patient_days_untold,
                by_channel=_by_channel(made),
                by_status=_by_status(made),
                changes_today=overview.changes(transaction, **bounds),
                timeline=_timeline(transaction, reported),
                dead_letters_open=letters,
                alerts=[listed(alert) for alert in alerts.page(transaction, limit=_ALERTS)],
                alerts_unmailed=unmailed,
                paused=sorted(paused_channels(transaction)),
                providers=self._providers(transaction),
                last_load=None if last_load is None else Load.model_validate(last_load),
            )

    def _providers(self, transaction: Transaction) -> list[ProviderStanding]:
        known = provider_states.read(transaction)
        return [
            ProviderStanding.model_validate(standing(channel, name, known.get(name, Breaker())))
            for channel, names in self._provider_names.items()
            for name in names
        ]


def _by_channel(made: Mapping[tuple[str, str], int]) -> dict[str, Standing]:
    groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (channel, status), number in made.items():
        groups[channel][_GROUP_OF.get(Status(status), "failed")] += number
    return {channel: Standing(**groups[channel]) for channel in sorted({*Channel, *groups})}


def _by_status(made: Mapping[tuple[str, str], int]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for (_, status), number in made.items():
        counted[status] += number
    return dict(counted)


def _timeline(transaction: Transaction, reported: ReportedDay) -> Timeline:
    steps = overview.timeline(transaction, since=reported.since, until=reported.until)
    return Timeline(minutes=overview.STEP_MINUTES, points=[Step.model_validate(step) for step in steps])
