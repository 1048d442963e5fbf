"""Word the mail that tells staff how a day went: what matters most first, in counts and plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from carenotify.config import Settings
from carenotify.domain.alert_mail import AlertMail, CsvFile
from carenotify.domain.report_words import count, share
from carenotify.journeys.read_overview import TARGET_SHARE
from carenotify.journeys.report_evening import EveningReport
from carenotify.journeys.report_sections import sections
from carenotify.templates.staff_mails import fill_report_mail

_PAGE = "/carenotify/page"
_TARGET = share(TARGET_SHARE, 0)


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
        "figure": _figure(report, settings),
        "tone": _tone(report),
        "result": _result(report, settings),
        "notices": list(_notices(report, settings)),
        "sections": list(sections(report)),
        "link": f"{page}#reports?date={report.day.isoformat()}",
        "counted": f"Counted at {report.counted_at.astimezone(settings.timezone):%H:%M on %Y-%m-%d} "
        f"({settings.timezone.key}). Reached, due and untold are counted by patients and days: whoever has two "
        "appointments on a day counts once.",
        "footer": f"This report comes every day at {settings.report_time:%H:%M}, also when all is well: when it does "
        "not come, something is wrong. In the handbook: docs/operations.md#the-daily-report",
    }
    text, html = fill_report_mail(values)
    return AlertMail(message_id, subject, text, html, tuple(files), report_day=report.day)


def _subject(report: EveningReport, settings: Settings) -> str:
    """The figure first: on one line, of which a list of mails shows the beginning."""
    whose = f"report of {_short(report.day)}, {settings.hospital_name}"
    return " ".join(f"{_short_figure(report, settings)}: {whose}".split())


def _short_figure(report: EveningReport, settings: Settings) -> str:
    due, reached = report.delivery.patient_days_due, _share_of_due(report)
    if reached is None:
        figure = _figure(report, settings)
        return f"{figure[0].lower()}{figure[1:]}"
    if _tone(report) == "open":
        return f"so far {reached} of {due:,} reached"
    missed = f" (target {_TARGET})" if _tone(report) == "below" else ""
    return f"{reached} of {due:,} reached, {report.not_reached:,} not{missed}"


def _figure(report: EveningReport, settings: Settings) -> str:
    reached = _share_of_due(report)
    if reached is not None:
        return f"{reached} reached"
    return "No figures of this day" if _is_unknown(report, settings) else "Nobody was due"


def _is_unknown(report: EveningReport, settings: Settings) -> bool:
    """Whether nothing can be said of it: not planned, and by no fault. A hospital without grace plans nothing."""
    nothing = not report.planned and report.delivery.patient_days_due == 0
    return nothing and not report.plan_missed and settings.alert_plan_grace_minutes > 0


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


def _result(report: EveningReport, settings: Settings) -> str:
    due, reached = report.delivery.patient_days_due, report.delivery.patient_days_reached
    if _is_unknown(report, settings):
        return "No reminders had been planned, and nobody is known who was due."
    if due == 0:
        return "No patient was to be reminded on this day."
    tone, were = _tone(report), "was" if reached == 1 else "were"
    if tone == "open":
        return f"Of {count(due, 'patient')} due, {reached:,} {were} reached so far."
    verdict = "meets" if tone == "good" else "is below"
    told = f"Of {count(due, 'patient')} due, {reached:,} {were} reached, {report.not_reached:,} not."
    return f"{told} That {verdict} the target of {_TARGET}."


def _notices(report: EveningReport, settings: Settings) -> Iterator[str]:
    if report.under_way:
        yield f"The send window ({settings.send_window}) is not over: these figures are as far as the day had come."
    if report.plan_missed:
        yield _no_plan(report)
    elif report.planned and (untold := report.delivery.untold):
        were = "was" if untold == 1 else "were"
        so_far = "so far " if report.under_way else ""
        yield f"{count(untold, 'patient')} {were} {so_far}neither told nor left out for a reason: have them called."


def _no_plan(report: EveningReport) -> str:
    untold = report.delivery.untold
    meant = f"so nobody was told: {count(untold, 'patient')}" if untold else "but nobody is known who was due"
    return (
        f"The day's reminders were not planned in time, {meant}. What to do: docs/operations.md#no_plan in the "
        "handbook."
    )
