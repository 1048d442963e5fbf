"""Alerts in words, as a mail tells them: of the same thing together, each on one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from carenotify.domain.alert import Alert, AlertKind, Severity, Told

_SAMPLES = 5
_COUNTED = frozenset({AlertKind.DELIVERY_FAILED, AlertKind.BROKER_GAVE_UP})


@dataclass(slots=True)
class AlertGroup:
    """Alerts of one thing: failures of one reason that several looks found, runs of one DAG, else one for itself."""

    alerts: list[Alert] = field(default_factory=list)

    @property
    def _one(self) -> Alert:
        return self.alerts[0]

    @property
    def kind(self) -> AlertKind:
        """What it is about."""
        return self._one.kind

    @property
    def told(self) -> Told | None:
        """Of failed messages: what became of whom they were for."""
        return self._one.told

    @property
    def title(self) -> str:
        """What it says, in plain words."""
        return self._one.title

    @property
    def severity(self) -> Severity:
        """How soon somebody should look."""
        return self._one.severity

    @property
    def what_to_do(self) -> str:
        """What staff do about it."""
        return self._one.what_to_do

    @property
    def resolved_at(self) -> datetime | None:
        """When it was over."""
        return self._one.resolved_at

    @property
    def count(self) -> int:
        """How many messages it is about, or things."""
        return sum(alert.count for alert in self.alerts)

    @property
    def counts_messages(self) -> bool:
        """Whether its numbers can be added up under its title."""
        return self.kind in _COUNTED

    @property
    def details(self) -> Mapping[str, Any]:
        """Those of its first alert: what they have in common is in all of them."""
        return self._one.details

    @property
    def samples(self) -> list[str]:
        """A few ids."""
        ids = [str(sample) for alert in self.alerts for sample in alert.details.get("samples", ())]
        return ids[:_SAMPLES]

    @property
    def query(self) -> str:
        """Where the page lists such messages."""
        wanted = {"channel": self._one.channel} | {name: self.details.get(name) for name in ("status", "reason")}
        return "#messages?" + urlencode({name: value for name, value in wanted.items() if value})

    @property
    def run_path(self) -> str | None:
        """Where Airflow shows the run that it is about, the last one of several."""
        details = self.alerts[-1].details
        if "dag_id" not in details or "run" not in details:
            return None
        return f"/dags/{quote(str(details['dag_id']), safe='')}/runs/{quote(str(details['run']), safe='')}"

    def line(self, zone: ZoneInfo) -> str:
        """What it says, in ids, codes, counts and times."""
        return _LINES[self.kind](self, zone)


def grouped(alerts: Iterable[Alert]) -> list[AlertGroup]:
    """Alerts of one thing together, in the order in which they were raised."""
    groups: dict[tuple[object, ...], AlertGroup] = {}
    for alert in alerts:
        of_one = alert.subject if alert.kind in _COUNTED else alert.details.get("dag_id", alert.id)
        if alert.kind is AlertKind.LOAD_HELD:  # each is decided about by itself, although one DAG made them
            of_one = alert.id
        key = (alert.kind, alert.told, of_one, alert.resolved_at is None)
        groups.setdefault(key, AlertGroup()).alerts.append(alert)
    return list(groups.values())


def over_line(group: AlertGroup, zone: ZoneInfo) -> str:
    """What is over, and from when to when it was."""
    until = _at(group.resolved_at, zone)
    return f"{group.title}: {group.line(zone)} (told at {_at(group.alerts[0].raised_at, zone)}, over at {until})"


def headline(groups: Sequence[AlertGroup]) -> str:
    """The few words of groups under one title that stand in a mail's subject."""
    first, total = groups[0], sum(group.count for group in groups)
    words = _HEADLINES_BY_TOLD[first.told] if first.told else _HEADLINES[first.kind]
    words = _HEADLINE_OF_HELD if first.alerts[0].waits_for_a_person else words
    names = list(dict.fromkeys(_name(group) for group in groups))
    what = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return words.format(count=f"{total:,}", s="" if total == 1 else "s", what=what)


_HEADLINES_BY_TOLD: Mapping[Told, str] = {
    Told.NOBODY: "{count} message{s} failed",
    Told.UNDER_WAY: "{count} message{s} failed, others under way",
    Told.OTHERWISE: "{count} message{s} failed, told otherwise",
    Told.AS_ASKED: "{count} not told on a channel, as asked",
}
_HEADLINE_OF_HELD = "{count} load{s} held"
_HEADLINES: Mapping[AlertKind, str] = {
    AlertKind.DELIVERY_FAILED: "{count} message{s} failed",
    AlertKind.BROKER_GAVE_UP: "{count} message{s} given back by the broker",
    AlertKind.LOAD_HELD: "{count} load{s} not taken over",
    AlertKind.TASK_FAILED: "{what} failed",
    AlertKind.DEADLINE_MISSED: "{what} takes too long",
    AlertKind.SENDING_STALLED: "{what} is not sent",
    AlertKind.PROVIDER_DOWN: "{what} is down",
    AlertKind.PAUSED_IN_WINDOW: "{what} is paused",
    AlertKind.NO_PLAN: "no plan for {what}",
    AlertKind.NOTHING_INGESTED: "no appointments loaded",
    AlertKind.WATCHER_SILENT: "watch_delivery does not run",
    AlertKind.DATABASE_AWAY: "the database is away",
}


def _name(group: AlertGroup) -> str:
    return str(group.details.get("dag_id", group.alerts[0].subject))


def _at(at: datetime | str | None, zone: ZoneInfo) -> str:
    if at is None:
        return "never"
    instant = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M}"


def _failed(group: AlertGroup, zone: ZoneInfo) -> str:
    details, patients = group.details, sum(alert.details.get("patients", 0) for alert in group.alerts)
    code = f", code {details['code']}" if details.get("code") else ""
    people = f" for {patients:,} patient{'' if patients == 1 else 's'}" if patients else ""
    what = f"{group.alerts[0].channel}, {details.get('status')}, {details.get('reason') or 'no reason'}{code}"
    return f"{what}: {_messages(group)}{people}, {_span(group, zone)}"


def _given_up(group: AlertGroup, zone: ZoneInfo) -> str:
    details = group.details
    queue = f"queue {details['queue']}, " if details.get("queue") else ""
    code = f" ({details['code']})" if details.get("code") else ""
    return f"{queue}{details.get('reason')}{code}: {_messages(group)}, {_span(group, zone)}"


def _messages(group: AlertGroup) -> str:
    return f"{group.count:,} message{'' if group.count == 1 else 's'}"


def _span(group: AlertGroup, zone: ZoneInfo) -> str:
    first = min(_at(alert.details.get("first", alert.raised_at), zone) for alert in group.alerts)
    last = max(_at(alert.details.get("last", alert.raised_at), zone) for alert in group.alerts)
    return f"at {first}" if first == last else f"{first} to {last}"


def _since(group: AlertGroup) -> datetime | str:
    return group.details.get("since") or group.alerts[0].raised_at


def _load(group: AlertGroup, _zone: ZoneInfo) -> str:
    details = group.details
    what = f"load {details.get('run')} is {details.get('status')}: {details.get('reason') or 'no reason was noted'}"
    return "; ".join([what, *details.get("besides", ())])


def _run(group: AlertGroup, zone: ZoneInfo) -> str:
    last = group.alerts[-1].details
    several = f"{len(group.alerts):,} runs, the last one is " if len(group.alerts) > 1 else ""
    return f"{last.get('dag_id')}: {several}run {last.get('run')}, {_span(group, zone)}"


def _stalled(group: AlertGroup, zone: ZoneInfo) -> str:
    return f"{group.alerts[0].channel}: {_messages(group)} waiting, the oldest due at {_at(_since(group), zone)}"


def _down(group: AlertGroup, _zone: ZoneInfo) -> str:
    code = f", its last code is {group.details['code']}" if group.details.get("code") else ""
    return f"{group.alerts[0].subject} ({group.alerts[0].channel}){code}"


def _paused(group: AlertGroup, zone: ZoneInfo) -> str:
    return f"{group.alerts[0].subject} since {_at(_since(group), zone)}, with {_messages(group)} waiting"


def _no_plan(group: AlertGroup, _zone: ZoneInfo) -> str:
    return f"nothing was planned for {group.alerts[0].subject}"


def _silent(group: AlertGroup, zone: ZoneInfo) -> str:
    since = group.details.get("since")
    return f"for the last time at {_at(since, zone)}" if since else "it never did"


def _away(group: AlertGroup, zone: ZoneInfo) -> str:
    return f"no answer since {_at(_since(group), zone)}"


_LINES: Mapping[AlertKind, Callable[[AlertGroup, ZoneInfo], str]] = {
    AlertKind.DELIVERY_FAILED: _failed,
    AlertKind.BROKER_GAVE_UP: _given_up,
    AlertKind.LOAD_HELD: _load,
    AlertKind.TASK_FAILED: _run,
    AlertKind.DEADLINE_MISSED: _run,
    AlertKind.SENDING_STALLED: _stalled,
    AlertKind.PROVIDER_DOWN: _down,
    AlertKind.PAUSED_IN_WINDOW: _paused,
    AlertKind.NO_PLAN: _no_plan,
    AlertKind.NOTHING_INGESTED: _silent,
    AlertKind.WATCHER_SILENT: _silent,
    AlertKind.DATABASE_AWAY: _away,
}
