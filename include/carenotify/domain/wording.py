"""What a message says: template versions, and their rendering for one patient.

A template sees the fields of its kind's data and `hospital`, and these filters: `short_date`, `long_date`,
`clock_time` (of an instant) and `appointment_list` (of several). They write in the template's language and the
hospital's zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel

from carenotify.domain.kinds import AppointmentLine
from carenotify.domain.local_time import clock_time, locale_of, long_date, short_date
from carenotify.domain.notification import Channel
from carenotify.domain.sms_economy import shortest_sms
from carenotify.domain.window import local_day
from carenotify.errors import WordingError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_QUOTED = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class Hospital:
    """Who is writing, as every template may say it."""

    name: str
    phone: str
    timezone: ZoneInfo


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """One version of one wording. `id` is None and `version` 0 until it is stored. `language` is a BCP 47 tag."""

    id: int | None
    code: str
    channel: Channel
    language: str
    version: int
    subject: str | None
    text: str
    html: str | None

    def __str__(self) -> str:
        return f"template {self.code}, {self.channel} in {self.language}"

    @property
    def parts(self) -> dict[str, str]:
        """The sources that it has, by what they become."""
        sources = {"subject": self.subject, "text": self.text, "html": self.html}
        return {part: source for part, source in sources.items() if source is not None}


@dataclass(frozen=True, slots=True)
class Wording:
    """A rendered message. `repr` shows nothing of it."""

    subject: str | None
    text: str
    html: str | None

    def __repr__(self) -> str:
        return "Wording(...)"


def render(template: TemplateVersion, data: BaseModel | Mapping[str, Any], *, hospital: Hospital) -> Wording:
    """Word one message. `data` is the kind's data, or a mapping of the same fields and Python values.

    Raises WordingError naming the template and what is wrong with it, never the patient's data.
    """
    parts = _compile(template, hospital.timezone)
    context = {**dict(data), "hospital": hospital}
    try:
        text = _text(template, parts["text"], context)
        subject = _one_line(parts["subject"].render(context)) if "subject" in parts else None
        html = _printable(parts["html"].render(context)) if "html" in parts else None
    except UndefinedError as error:
        raise WordingError(f"{template}: uses {_unknown_name(template, error)}, which its data does not have") from None
    except Exception as error:  # noqa: BLE001 - a template is somebody's program, and its errors may quote the data
        raise WordingError(f"{template}: {type(error).__name__} while rendering") from None
    return Wording(subject, text, html)


def _unknown_name(template: TemplateVersion, error: UndefinedError) -> str:
    """jinja2 quotes the name last. A name that the template does not spell out was computed from the data."""
    name = (_QUOTED.findall(error.message or "") or [""])[-1]
    return repr(name) if name and any(name in source for source in template.parts.values()) else "a computed name"


def _text(template: TemplateVersion, part: Template, context: dict[str, Any]) -> str:
    def rendered(values: dict[str, Any]) -> str:
        return _printable(part.render(values)).strip()

    return shortest_sms(rendered, context) if template.channel is Channel.SMS else rendered(context)


def _printable(text: str) -> str:
    """Without control characters, which a name may hold and which no mail, phone or terminal should be told."""
    return text if text.isprintable() else _CONTROL.sub("", text)


def _one_line(text: str) -> str:
    return _printable(" ".join(text.split()))


@lru_cache(maxsize=1024)
def _compile(template: TemplateVersion, timezone: ZoneInfo) -> dict[str, Template]:
    return {part: _compile_part(template, part, timezone) for part in template.parts}


def _compile_part(template: TemplateVersion, part: str, timezone: ZoneInfo) -> Template:
    try:
        return environment(template.language, timezone, autoescape=part == "html").from_string(template.parts[part])
    except TemplateSyntaxError as error:
        raise WordingError(f"{template}: {part}, line {error.lineno}: {error.message}") from None


@lru_cache(maxsize=64)
def environment(language: str, timezone: ZoneInfo, *, autoescape: bool) -> ImmutableSandboxedEnvironment:
    """A sandbox for templates of one language. Raises WordingError for a language that dates cannot be written in."""
    locale_of(language)
    sandbox = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=autoescape, trim_blocks=True)

    def appointment_list(lines: Iterable[AppointmentLine], separator: str = "; ") -> str:
        return separator.join(_told(list(lines), language, timezone))

    sandbox.filters |= {
        "short_date": lambda instant: short_date(local_day(instant, timezone), language),
        "long_date": lambda instant: long_date(local_day(instant, timezone), language),
        "clock_time": lambda instant: clock_time(instant, language, timezone),
        "appointment_list": appointment_list,
    }
    return sandbox


def _told(lines: Sequence[AppointmentLine], language: str, timezone: ZoneInfo) -> Iterable[str]:
    """`10:30 Cardiology`; an appointment of a later day than the first says its day too."""
    first = local_day(lines[0].start, timezone) if lines else None
    for line in lines:
        when = clock_time(line.start, language, timezone)
        day = local_day(line.start, timezone)
        yield f"{when} {line.venue}" if day == first else f"{short_date(day, language)} {when} {line.venue}"


def choose_language(wanted: Sequence[str | None], available: Iterable[str], default: str) -> str:
    """The best available language: each wanted tag in turn, then the default; `de-AT` finds `de` (RFC 4647 lookup).

    Raises WordingError when there is no wording in the default language either.
    """
    known = {_tag(language): language for language in available}
    for language in (*wanted, default):
        subtags = _tag(language).split("-") if language else []
        for length in range(len(subtags), 0, -1):
            if (found := known.get("-".join(subtags[:length]))) is not None:
                return found
    raise WordingError(f"no wording in the default language {default!r}")


def _tag(language: str) -> str:
    return language.strip().replace("_", "-").lower()
