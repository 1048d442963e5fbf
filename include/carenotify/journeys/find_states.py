"""What lasts for a while and staff have to know of: found anew at each look, raised when it begins, and told when over.

STATES has one finder for each kind of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from carenotify.config import Settings
from carenotify.domain.alert import AlertKind, NewAlert
from carenotify.domain.breaker import Breaker
from carenotify.domain.notification import Channel
from carenotify.journeys.close_load import shortcomings
from carenotify.storage import pauses, provider_states, watched
from carenotify.storage.database import Transaction
from carenotify.storage.ingest_runs import read_run
from carenotify.storage.watched import NotTakenOver

# In which, in ordinary running, a channel on which something is due sends something, and all of it is published.
_QUIET_FOR = timedelta(minutes=3)
_PUBLISHED_WITHIN = timedelta(minutes=15)
# For which a provider has to be well before it counts as back: one that flaps is one alert.
_WELL_FOR = timedelta(minutes=5)
# How far back loads are looked at: longer than any watcher is away without being missed.
_LOADS_OF = timedelta(days=7)
# In which Airflow notes that the run of a load that failed has failed too.
_RUN_NOTED_WITHIN = timedelta(minutes=2)
# The DAG that loads; a load that somebody began by command is none of its runs.
_LOADS_DAG = "ingest_appointments"
_BY_COMMAND = "command__"


@dataclass(frozen=True, slots=True)
class States:
    """`all` that is to be told, each with its dedup_key, and the keys of those that still last."""

    all: Sequence[NewAlert]
    lasting: Collection[str]


Finder = Callable[[Transaction, Settings, datetime], States]


def _lasting(found: Sequence[NewAlert]) -> States:
    return States(found, [one.dedup_key for one in found if one.dedup_key is not None])


def _stalled(transaction: Transaction, settings: Settings, now: datetime) -> States:
    """A channel whose providers are all down waits for them, and that is told already.

    One that nobody has tried again, although its time came minutes ago, is no reason: then no worker runs.
    """
    found = watched.stalled(transaction, quiet_since=now - _QUIET_FOR, surely_before=now - _PUBLISHED_WITHIN, now=now)
    opened = {name for name, one in provider_states.read(transaction).items() if _tried_again(one, now)}
    return _lasting(
        [
            NewAlert(
                AlertKind.SENDING_STALLED,
                one.channel,
                f"{AlertKind.SENDING_STALLED}:{one.channel}",
                channel=one.channel,
                count=one.count,
                details={"since": one.due_at.isoformat()},
            )
            for one in found
            if not opened >= set(getattr(settings, f"{one.channel}_providers"))
        ]
    )


def _tried_again(breaker: Breaker, now: datetime) -> bool:
    return not breaker.closed and breaker.retry_at is not None and breaker.retry_at > now - _QUIET_FOR


def _down(transaction: Transaction, settings: Settings, now: datetime) -> States:
    """A provider that nobody uses any more is nobody's trouble."""
    channels = {name: channel for channel in Channel for name in getattr(settings, f"{channel}_providers")}
    return _lasting(
        [
            NewAlert(
                AlertKind.PROVIDER_DOWN,
                name,
                f"{AlertKind.PROVIDER_DOWN}:{name}",
                channel=channels[name].value,
                details={"provider": name, "code": breaker.last_code},
            )
            for name, breaker in sorted(provider_states.read(transaction).items())
            if name in channels and _is_down(breaker, now)
        ]
    )


def _is_down(breaker: Breaker, now: datetime) -> bool:
    if not breaker.closed:
        return True
    return breaker.successes > 0 and breaker.changed_at is not None and breaker.changed_at > now - _WELL_FOR


def _paused(transaction: Transaction, _settings: Settings, now: datetime) -> States:
    return _lasting(
        [
            NewAlert(
                AlertKind.PAUSED_IN_WINDOW,
                "every channel" if one.channel == pauses.EVERY_CHANNEL else one.channel,
                f"{AlertKind.PAUSED_IN_WINDOW}:{one.channel}",
                channel=None if one.channel == pauses.EVERY_CHANNEL else one.channel,
                count=one.waiting,
                details={"since": one.paused_at.isoformat()},
            )
            for one in watched.paused(transaction, now=now)
            if one.waiting
        ]
    )


def _not_taken_over(transaction: Transaction, _settings: Settings, now: datetime) -> States:
    """A load that is over by now is told all the same: nobody may have looked in between.

    One that failed in a run of Airflow is told as that run's failure.
    """
    loads = loads_not_taken_over(transaction, now=now)
    return States(
        [held_back(transaction, one) for one in loads if not one.told_as_run],
        [_key_of_load(one) for one in loads if one.lasts],
    )


def loads_not_taken_over(transaction: Transaction, *, now: datetime) -> list[NotTakenOver]:
    """What was loaded lately and not taken over."""
    return watched.loads_not_taken_over(transaction, since=now - _LOADS_OF, failed_until=now - _RUN_NOTED_WITHIN)


def held_back(transaction: Transaction, load: NotTakenOver) -> NewAlert:
    """What is told of such a load. Whoever tells it first, it is the same, and so is told once."""
    details: dict[str, Any] = {"status": load.status, "reason": load.reason, "run": load.run_id}
    if not load.run_id.startswith(_BY_COMMAND):
        details["dag_id"] = _LOADS_DAG
    if load.status == "held":
        details["besides"] = shortcomings(read_run(transaction, load.run_id))
    return NewAlert(AlertKind.LOAD_HELD, load.run_id, _key_of_load(load), details=details)


def _key_of_load(load: NotTakenOver) -> str:
    return f"{AlertKind.LOAD_HELD}:{load.run_id}:{load.finished_at.isoformat()}"


STATES: Mapping[AlertKind, Finder] = {
    AlertKind.LOAD_HELD: _not_taken_over,
    AlertKind.SENDING_STALLED: _stalled,
    AlertKind.PROVIDER_DOWN: _down,
    AlertKind.PAUSED_IN_WINDOW: _paused,
}
