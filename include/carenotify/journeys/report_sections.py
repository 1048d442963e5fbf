"""The tables of the mail that tells staff how a day went: each figure with its name in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from carenotify.domain import report_words as words
from carenotify.domain.report_words import count, share, word
from carenotify.journeys.report_evening import EveningReport


@dataclass(frozen=True, slots=True)
class Section:
    """A table: each row is a name and a cell for each of the columns. Without rows `nothing` is said instead."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    nothing: str = ""
    note: str = ""

    @property
    def lines(self) -> list[str]:
        """The rows for a mail that has no tables: columns under one another, the numbers to the right."""
        table = [("", self.columns), *self.rows] if any(self.columns) else self.rows
        first = max((len(name) for name, _ in table), default=0)
        widths = [max(len(cells[number]) for _, cells in table) for number in range(len(self.columns))] if table else []
        return [
            "  ".join(
                [name.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))]
            ).rstrip()
            for name, cells in table
        ]


def sections(report: EveningReport) -> Iterator[Section]:
    """All of them, in the order in which staff ask."""
    yield _by_channel(report)
    yield _not_reached(report)
    yield _left_out(report)
    yield _held_back(report)
    yield _left_alone(report)
    yield _changes(report)
    yield _doubts(report)
    yield _coverage(report)
    yield _for_people(report)
    yield _loads(report)


def _by_channel(report: EveningReport) -> Section:
    delivery = report.delivery
    rows = []
    for channel in sorted(delivery.by_channel):
        reached = delivery.reached_by_channel.get(channel, 0)
        cells = [f"{delivery.by_channel[channel]:,}", f"{reached:,}", _of(reached, delivery.patient_days_due)]
        rows.append((word(words.CHANNELS, channel), cells))
    return Section(
        "By channel",
        ["messages", "patients reached", "of due"],
        rows,
        nothing="No reminders were made.",
        note="Whoever was reached on both counts for both." if len(rows) > 1 else "",
    )


def _not_reached(report: EveningReport) -> Section:
    missed, delivery = report.unreached, report.delivery
    rows = [
        (word(words.FAILURES, reason), [f"{number:,}", f"{missed.patient_days.get(reason, 0):,}"])
        for reason, number in _most_first(missed.messages)
    ]
    if missed.patient_days_waiting:
        rows.append(("Still on the way", ["", f"{missed.patient_days_waiting:,}"]))
    if delivery.untold:
        rows.append(("Untold: no message, and no reason", ["", f"{delivery.untold:,}"]))
    endings = [
        f"{number:,} {said}" for status, said in words.ENDINGS.items() if (number := delivery.by_status.get(status))
    ]
    return Section(
        "Not reached, and why",
        ["messages", "patients not reached"],
        rows,
        nothing="Every reminder arrived." if delivery.notifications else "No reminders were made.",
        note=f"Of the messages: {', '.join(endings)}. A patient with two messages may count under two reasons."
        if endings
        else "",
    )


def _left_out(report: EveningReport) -> Section:
    return Section(
        "Not told, for a reason",
        ["appointments"],
        _numbers(report.delivery.skipped, words.SKIPS),
        nothing="No appointment was left out.",
    )


def _held_back(report: EveningReport) -> Section:
    delivery = report.delivery
    return Section(
        "Wrong data and addresses",
        [""],
        [
            ("Rows in quarantine", [f"{delivery.quarantined:,}"]),
            ("Addresses left out as wrong", [f"{delivery.addresses_left_out:,}"]),
        ],
    )


def _left_alone(report: EveningReport) -> Section:
    return Section(
        "Addresses left alone from this day on",
        [""],
        _numbers(report.delivery.suppressions, words.SUPPRESSIONS),
        nothing="None.",
    )


def _changes(report: EveningReport) -> Section:
    rows = [
        (word(words.KINDS, each.kind), [f"{each.made:,}", f"{each.taken:,}", f"{each.failed:,}"])
        for each in report.other_messages
    ]
    return Section(
        "Changes and other messages",
        ["messages", "sent", "failed"],
        rows,
        nothing="No messages besides reminders.",
        note=f"{count(report.changes, 'change')} of appointments came in.",
    )


def _doubts(report: EveningReport) -> Section:
    twice = report.delivery.possible_duplicates + sum(each.possible_duplicates for each in report.other_messages)
    return Section(
        "Second ways, and doubts",
        [""],
        [
            ("Replaced another message", [f"{report.delivery.fallbacks:,}"]),
            ("May have come twice", [f"{twice:,}"]),
        ],
    )


def _coverage(report: EveningReport) -> Section:
    coverage = report.coverage
    reachable = {"a mobile phone": coverage.with_phone, "an e-mail address": coverage.with_email}
    rows = [(f"With {what}", [f"{number:,}", _of(number, coverage.patients)]) for what, number in reachable.items()]
    neither = coverage.patients - coverage.with_any
    rows.append(("With any of them", [f"{coverage.with_any:,}", _of(coverage.with_any, coverage.patients)]))
    rows.append(("Cannot be reached", [f"{neither:,}", ""]))
    return Section(
        "Contact coverage",
        ["patients", "of all"],
        rows if coverage.patients else [],
        nothing="No patient has an appointment ahead.",
        note=f"Of {count(coverage.patients, 'patient')} with an appointment ahead." if coverage.patients else "",
    )


def _for_people(report: EveningReport) -> Section:
    return Section(
        "Waiting for a person",
        [""],
        [("Open dead letters, of all days", [f"{report.dead_letters_open:,}"])],
    )


def _loads(report: EveningReport) -> Section:
    return Section(
        "Loads of appointments",
        ["loads"],
        _numbers(report.loads, words.LOADS),
        nothing="No appointments were loaded on this day.",
    )


def _numbers(counted: Mapping[str, int], named: Mapping[str, str]) -> list[tuple[str, Sequence[str]]]:
    return [(word(named, name), [f"{number:,}"]) for name, number in _most_first(counted)]


def _most_first(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda each: (-each[1], each[0]))


def _of(part: int, whole: int) -> str:
    return share(part / whole) if whole else "-"
