"""What staff are told of: the kinds of alerts, how bad each is, and what to do about it.

The one table of them is ABOUT. docs/operations.md has a section for each kind, whose anchor is the kind's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class AlertKind(StrEnum):
    """What an alert is about."""

    DELIVERY_FAILED = "delivery_failed"
    BROKER_GAVE_UP = "broker_gave_up"
    LOAD_HELD = "load_held"
    TASK_FAILED = "task_failed"
    DEADLINE_MISSED = "deadline_missed"
    SENDING_STALLED = "sending_stalled"
    PROVIDER_DOWN = "provider_down"
    PAUSED_IN_WINDOW = "paused_in_window"
    NO_PLAN = "no_plan"
    NOTHING_INGESTED = "nothing_ingested"
    WATCHER_SILENT = "watcher_silent"
    DATABASE_AWAY = "database_away"

    @property
    def anchor(self) -> str:
        """Its section in docs/operations.md."""
        return f"#{self.value}"


# What begins, ends, and may begin anew. Others are about something that happens once: a run, a day.
RECURRING = frozenset(
    {
        AlertKind.SENDING_STALLED,
        AlertKind.PROVIDER_DOWN,
        AlertKind.PAUSED_IN_WINDOW,
        AlertKind.NOTHING_INGESTED,
        AlertKind.WATCHER_SILENT,
    }
)


class Severity(StrEnum):
    """How soon somebody should look: now, today, or when there is time."""

    CRITICAL = "critical"
    WARNING = "warning"
    NOTICE = "notice"


class Told(StrEnum):
    """What became of whom a failed message was for, as of when staff were told of it.

    By another message they were reached, or still may be; or by none; or they are not to be told on that channel,
    because they asked for that, or because it is known that they cannot be.
    """

    NOBODY = "nobody"
    UNDER_WAY = "under_way"
    OTHERWISE = "otherwise"
    AS_ASKED = "as_asked"


@dataclass(frozen=True, slots=True)
class About:
    """A kind of alert in plain words. `path` is where on the page there is more."""

    title: str
    severity: Severity
    what_to_do: str
    path: str = "#alerts"


ABOUT: Mapping[AlertKind, About] = {
    AlertKind.DELIVERY_FAILED: About(
        "Messages failed",
        Severity.WARNING,
        "Open the list, look at the reason and the code, and mend the cause. Then replay the dead letters whose window "
        "is still open; call the patients of those that cannot be replayed.",
        "#messages",
    ),
    AlertKind.BROKER_GAVE_UP: About(
        "The broker gave back messages that nobody can send",
        Severity.WARNING,
        "Somebody put messages on our queues that are not ours, or a notification was removed while its message "
        "waited. Look at the dead letters, find out who wrote them, and discard them.",
        "#dead-letters",
    ),
    AlertKind.LOAD_HELD: About(
        "A load of appointments was not taken over",
        Severity.WARNING,
        "The last good copy of the appointments stays in use. See whether the next load comes through, half an hour "
        "later: then this is over by itself. If that one fails as well, look at why.",
    ),
    AlertKind.TASK_FAILED: About(
        "A DAG run failed",
        Severity.WARNING,
        "Open the run in Airflow, look at the log of the task that failed, mend the cause and clear the failed tasks: "
        "they can be run again without harm.",
    ),
    AlertKind.DEADLINE_MISSED: About(
        "A DAG run takes too long",
        Severity.WARNING,
        "Open the run in Airflow and see which task it is in. Nothing is lost: look at whether the database, the "
        "broker and the patient API answer, and whether the scheduler has free slots.",
    ),
    AlertKind.SENDING_STALLED: About(
        "Messages are due and nobody sends them",
        Severity.CRITICAL,
        "Look at whether the workers of that channel run and are ready, and whether RabbitMQ answers. Nothing is lost; "
        "but what its window overtakes is not sent any more.",
        "#today",
    ),
    AlertKind.PROVIDER_DOWN: About(
        "A provider does not take messages",
        Severity.WARNING,
        "Look at the provider's own status page and, where the code speaks of credentials or a quota, at our account. "
        "It is tried again by itself; where there is a second provider or channel, messages go that way.",
        "#today",
    ),
    AlertKind.PAUSED_IN_WINDOW: About(
        "Sending is paused, and messages wait",
        Severity.WARNING,
        "Ask whoever paused it whether it is still wanted. If not, resume sending on the page or with the command "
        "resume, before the window closes.",
        "#today",
    ),
    AlertKind.NO_PLAN: About(
        "The day's reminders were not planned",
        Severity.CRITICAL,
        "Nobody is reminded today until there is a plan. Look at whether Airflow's scheduler runs and the DAG "
        "send_reminders is switched on; trigger it by hand, or run the command remind, before the window closes.",
        "#today",
    ),
    AlertKind.NOTHING_INGESTED: About(
        "No load of appointments came through",
        Severity.CRITICAL,
        "Reminders are planned from a copy that grows old. Look at whether Airflow's scheduler runs, the DAG "
        "ingest_appointments is switched on, and the patient API answers.",
        "#today",
    ),
    AlertKind.WATCHER_SILENT: About(
        "The DAG that watches delivery does not run",
        Severity.CRITICAL,
        "Look at whether Airflow's scheduler runs and the DAG watch_delivery is switched on. Until it runs again, the "
        "workers look for failures in its place.",
    ),
    AlertKind.DATABASE_AWAY: About(
        "The database cannot be reached",
        Severity.CRITICAL,
        "Nothing is sent, planned or accepted until PostgreSQL answers. Look at its server, its disk and the network; "
        "carenotify goes on by itself once it is back, and nothing is lost.",
    ),
}

# Of loads that were not taken over, the one that waits for a person; one that failed may mend itself.
_HELD = About(
    "A load of appointments is held",
    Severity.WARNING,
    "The last good copy of the appointments stays in use until somebody decides. Look at why. When the load is true, "
    "let it in: start the DAG ingest_appointments with release_run_id set to the load's id, or run the command ingest "
    "--release with that id. Else throw it away with ingest --discard.",
)

_TITLES_BY_TOLD: Mapping[Told, str] = {
    Told.NOBODY: "Messages failed, and nobody was reached",
    Told.UNDER_WAY: "Messages failed, and others are under way in their place",
    Told.OTHERWISE: "Messages failed, and their patients were told otherwise",
    Told.AS_ASKED: "Not told on this channel, as asked or known",
}
_WHAT_TO_DO_BY_TOLD: Mapping[Told, str] = {
    Told.NOBODY: ABOUT[AlertKind.DELIVERY_FAILED].what_to_do,
    Told.UNDER_WAY: "Nothing yet: if the other message fails as well, you are told. Many of one code mean that a "
    "provider or our account needs looking at.",
    Told.OTHERWISE: "Nothing for these patients. Many of one code mean that a provider or our account needs looking "
    "at; addresses that are dead should be corrected in the hospital's own records.",
    Told.AS_ASKED: "Nothing, as a rule: they have said STOP or opted out, have died, or no address of theirs can be "
    "used. Where that is a surprise, correct their records.",
}


@dataclass(frozen=True, slots=True)
class NewAlert:
    """Something to tell staff of; `subject` and `details` hold ids, codes and counts, and nothing personal.

    With a `dedup_key`, it is raised only once as long as it is not over.
    """

    kind: AlertKind
    subject: str
    dedup_key: str | None = None
    channel: str | None = None
    count: int = 1
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it is kept. `resolved_at` is when what lasted was over, `mailed_at` when a mail server took it."""

    id: int
    kind: AlertKind
    subject: str
    channel: str | None
    count: int
    details: Mapping[str, Any]
    raised_at: datetime
    resolved_at: datetime | None
    mailed_at: datetime | None

    @property
    def told(self) -> Told | None:
        """Of failed messages: what became of whom they were for."""
        return Told(self.details["told"]) if "told" in self.details else None

    @property
    def waits_for_a_person(self) -> bool:
        """Of a load: it is held, and nothing but a person's decision ends that."""
        return self.kind is AlertKind.LOAD_HELD and self.details.get("status") == "held"

    @property
    def _about(self) -> About:
        return _HELD if self.waits_for_a_person else ABOUT[self.kind]

    @property
    def title(self) -> str:
        """What it says, in plain words."""
        return self._about.title if self.told is None else _TITLES_BY_TOLD[self.told]

    @property
    def severity(self) -> Severity:
        """How soon somebody should look."""
        return self._about.severity if self.told in {None, Told.NOBODY} else Severity.NOTICE

    @property
    def what_to_do(self) -> str:
        """What staff do about it: what whoever raised it said, else what is always right for its kind."""
        said = self.details.get("what_to_do")
        if said is not None:
            return str(said)
        return self._about.what_to_do if self.told is None else _WHAT_TO_DO_BY_TOLD[self.told]
