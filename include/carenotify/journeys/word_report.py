"""Word the mail that tells staff how a day went: what matters most first, in counts and plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from carenotify.config import Settings
from carenotify.domain import report_words as words
from carenotify.domain.alert_mail import AlertMail, CsvFile
from carenotify.domain.report_words import count, share, word
from carenotify.journeys.read_overview import TARGET_SHARE
from carenotify.journeys.report_evening import EveningReport
from carenotify.templates.staff_mails import fill_report_mail

_PAGE = "/carenotify/page"
_TARGET = share(TARGET_SHARE, 0)


@dataclass(frozen=True, slots=True)
class _Section:
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


def word_report(
    report: EveningReport, *, message_id: str, settings: Settings, files: Sequence[CsvFile] = ()
) -> AlertMail:
    """The mail of one day, with these tables attached."""
    subject = _subject(report, settings)
    page = settings.public_url.rstrip("/") + _PAGE
    values = {
        "subject": subject,
        "hospital": settings.hospital_name,
        "day": f"{report.day:%A}, {report.day.day} {report.day:%B %Y}",
        "figure": f"{reached} reached" if (reached := _share_of_due(report)) else "Nobody was due",
        "tone": _tone(report),
        "result": _result(report),
        "notices": list(_notices(report, settings)),
        "sections": list(_sections(report)),
        "link": f"{page}#reports?date={report.day.isoformat()}",
        "counted": f"Counted at {report.counted_at.astimezone(settings.timezone):%H:%M on %Y-%m-%d} "
        f"({settings.timezone.key}). Reached, due and untold are counted by patients and days: whoever has two "
        "appointments on a day counts once.",
        "footer": "This report comes every evening, also when all is well: when it does not come, something is wrong. "
        "In the handbook: docs/operations.md#the-daily-report",
    }
    text, html = fill_report_mail(values)
    return AlertMail(message_id, subject, text, html, tuple(files), report_day=report.day)


def _subject(report: EveningReport, settings: Settings) -> str:
    """The figure first: on one line, of which a list of mails shows the beginning."""
    due, reached = report.delivery.patient_days_due, _share_of_due(report)
    figure = f"{reached} of {due:,} reached, {report.not_reached:,} not" if reached else "nobody was due"
    more = {"below": f" (target {_TARGET})", "open": " so far" if due and report.under_way else ""}
    return " ".join(
        f"{figure}{more.get(_tone(report), '')}: report of {_short(report.day)}, {settings.hospital_name}".split()
    )


def _short(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _share_of_due(report: EveningReport) -> str | None:
    reached = report.delivery.reached_share
    return None if reached is None else share(reached)


def _tone(report: EveningReport) -> str:
    reached = report.delivery.reached_share
    if reached is not None and reached >= TARGET_SHARE:
        return "good"
    return "open" if reached is None or report.under_way else "below"


def _result(report: EveningReport) -> str:
    due, reached = report.delivery.patient_days_due, report.delivery.patient_days_reached
    if due == 0:
        return "No patient was to be reminded on this day."
    verdict = {"good": f"That meets the target of {_TARGET}.", "below": f"That is below the target of {_TARGET}."}
    were = "was" if reached == 1 else "were"
    told = f"Of {count(due, 'patient')} due, {reached:,} {were} reached, {report.not_reached:,} not."
    return " ".join([told, verdict.get(_tone(report), "")]).rstrip()


def _notices(report: EveningReport, settings: Settings) -> Iterator[str]:
    if report.under_way:
        yield f"The send window ({settings.send_window}) is not over: these figures are as far as the day had come."
    elif not report.planned and settings.alert_plan_grace_minutes:
        yield (
            "The day's reminders were not planned, so nobody was told. What to do: docs/operations.md#no_plan in the "
            "handbook."
        )
    elif untold := report.delivery.untold:
        were = "was" if untold == 1 else "were"
        yield f"{count(untold, 'patient')} {were} neither told nor left out for a reason: have them called."


def _sections(report: EveningReport) -> Iterator[_Section]:
    yield _by_channel(report)
    yield _not_reached(report)
    yield _left_out(report)
    yield _held_back(report)
    yield _changes(report)
    yield _doubts(report)
    yield _coverage(report)
    yield _for_people(report)
    yield _loads(report)


def _by_channel(report: EveningReport) -> _Section:
    delivery = report.delivery
    rows = []
    for channel in sorted(delivery.by_channel):
        reached = delivery.reached_by_channel.get(channel, 0)
        cells = [f"{delivery.by_channel[channel]:,}", f"{reached:,}", _of(reached, delivery.patient_days_due)]
        rows.append((word(words.CHANNELS, channel), cells))
    return _Section(
        "By channel",
        ["messages", "patients reached", "of due"],
        rows,
        nothing="No reminders were made.",
        note="Whoever was reached on both counts for both." if len(rows) > 1 else "",
    )


def _not_reached(report: EveningReport) -> _Section:
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
    return _Section(
        "Not reached, and why",
        ["messages", "patients not reached"],
        rows,
        nothing="Every reminder arrived.",
        note=f"Of the messages: {', '.join(endings)}. A patient with two messages may count under two reasons."
        if endings
        else "",
    )


def _left_out(report: EveningReport) -> _Section:
    return _Section(
        "Not told, for a reason",
        ["appointments"],
        _numbers(report.delivery.skipped, words.SKIPS),
        nothing="No appointment was left out.",
    )


def _held_back(report: EveningReport) -> _Section:
    delivery = report.delivery
    return _Section(
        "Wrong data and addresses",
        [""],
        [
            ("Rows in quarantine", [f"{delivery.quarantined:,}"]),
            ("Addresses left out as wrong", [f"{delivery.addresses_left_out:,}"]),
            ("Addresses left alone from that day on", [f"{sum(delivery.suppressions.values()):,}"]),
        ],
    )


def _changes(report: EveningReport) -> _Section:
    rows = [
        (word(words.KINDS, each.kind), [f"{each.made:,}", f"{each.taken:,}", f"{each.failed:,}"])
        for each in report.other_messages
    ]
    return _Section(
        "Changes and other messages",
        ["messages", "sent", "failed"],
        rows,
        nothing="No messages besides reminders.",
        note=f"{count(report.changes, 'change')} of appointments came in.",
    )


def _doubts(report: EveningReport) -> _Section:
    twice = report.delivery.possible_duplicates + sum(each.possible_duplicates for each in report.other_messages)
    return _Section(
        "Second ways, and doubts",
        [""],
        [
            ("Took the place of a reminder that failed", [f"{report.delivery.fallbacks:,}"]),
            ("May have come twice", [f"{twice:,}"]),
        ],
    )


def _coverage(report: EveningReport) -> _Section:
    coverage = report.coverage
    reachable = {"a mobile phone": coverage.with_phone, "an e-mail address": coverage.with_email}
    rows = [(f"With {what}", [f"{number:,}", _of(number, coverage.patients)]) for what, number in reachable.items()]
    neither = coverage.patients - coverage.with_any
    rows.append(("With any of them", [f"{coverage.with_any:,}", _of(coverage.with_any, coverage.patients)]))
    rows.append(("Cannot be reached", [f"{neither:,}", ""]))
    return _Section(
        "Contact coverage",
        ["patients", "of all"],
        rows if coverage.patients else [],
        nothing="No patient has an appointment ahead.",
        note=f"Of {count(coverage.patients, 'patient')} with an appointment ahead." if coverage.patients else "",
    )


def _for_people(report: EveningReport) -> _Section:
    return _Section(
        "Waiting for a person",
        [""],
        [("Open dead letters, of all days", [f"{report.dead_letters_open:,}"])],
    )


def _loads(report: EveningReport) -> _Section:
    return _Section(
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
