"""Word the mail that tells staff of alerts. It depends on the alerts alone, so that it is the same when sent again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from carenotify.config import Settings
from carenotify.domain.alert import ABOUT, Alert, AlertKind, Severity
from carenotify.domain.alert_mail import AlertMail
from carenotify.domain.alert_words import AlertGroup, grouped, headline, over_line
from carenotify.templates.staff_mails import fill_alert_mail

_PAGE = "/carenotify/page"
_HANDBOOK = "docs/operations.md"
# A mail is read; what is beyond this is looked at on the page.
_LINES = 50
_HEADLINES = 3
_SUBJECT_LENGTH = 150


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    samples: Sequence[tuple[str, str]] = ()  # ids, each with where its story is
    link: str | None = None


@dataclass(frozen=True, slots=True)
class _Section:
    title: str
    severity: Severity
    total: str
    lines: Sequence[_Line]
    more: int
    what_to_do: str
    link: str
    handbook: str


def word_alerts(alerts: Sequence[Alert], *, message_id: str, settings: Settings) -> AlertMail:
    """One mail for all of these: what lasts in sections, the gravest first, then what is over."""
    groups = grouped(alerts)
    lasting = [group for group in groups if group.resolved_at is None]
    over = [group for group in groups if group.resolved_at is not None]
    subject = _subject(lasting, over)
    page = settings.public_url.rstrip("/") + _PAGE
    values = {
        "subject": subject,
        "intro": f"carenotify at {settings.hospital_name} has something to tell. "
        f"Times are those of {settings.timezone.key}.",
        "sections": [_section(of, page, settings) for of in _sections(lasting)],
        "over": [_Line(over_line(group, settings.timezone)) for group in over],
        "page": f"{page}#alerts",
        "footer": "Each failure is told once. Ids stand for notifications; their whole story is on the page.",
    }
    text, html = fill_alert_mail(values)
    return AlertMail(message_id, subject, text, html)


def _sections(groups: Iterable[AlertGroup]) -> list[list[AlertGroup]]:
    """Groups under one title and with one thing to do."""
    sections: dict[tuple[str, str], list[AlertGroup]] = {}
    for group in groups:
        sections.setdefault((group.title, group.what_to_do), []).append(group)
    return sorted(sections.values(), key=lambda of: list(Severity).index(of[0].severity))


def _section(groups: Sequence[AlertGroup], page: str, settings: Settings) -> _Section:
    first = groups[0]
    by_size = sorted(groups, key=attrgetter("count"), reverse=True)
    total = sum(group.count for group in groups) if first.counts_messages else 0
    return _Section(
        title=first.title,
        severity=first.severity,
        total=f"{total:,}" if total else "",
        lines=[
            _Line(group.line(settings.timezone), _samples(group, page), _link(group, page, settings))
            for group in by_size[:_LINES]
        ],
        more=len(groups) - len(by_size[:_LINES]),
        what_to_do=first.what_to_do,
        link=page + ABOUT[first.kind].path,
        handbook=f"{_HANDBOOK}{first.kind.anchor}",
    )


def _samples(group: AlertGroup, page: str) -> list[tuple[str, str]]:
    where = "#messages/" if group.kind is AlertKind.DELIVERY_FAILED else "#dead-letters/"
    return [(sample, f"{page}{where}{sample}") for sample in group.samples]


def _link(group: AlertGroup, page: str, settings: Settings) -> str | None:
    if group.kind is AlertKind.DELIVERY_FAILED:
        return f"{page}{group.query}"
    if group.run_path is not None:
        return settings.public_url.rstrip("/") + group.run_path
    return None


def _subject(lasting: Sequence[AlertGroup], over: Sequence[AlertGroup]) -> str:
    """The gravest first. On one line, and of such a length as a list of mails shows."""
    words = [headline(of) for of in _sections(lasting)]
    words += [f"over: {headline(of)}" for of in _sections(over)]
    shown = "; ".join(words[:_HEADLINES])
    more = f"; and {len(words) - _HEADLINES} more" if len(words) > _HEADLINES else ""
    return " ".join(f"carenotify: {shown}".split())[:_SUBJECT_LENGTH] + more
