"""Kinds of fields that several requests have."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from carenotify.domain.instant import read_instant


class RequestModel(BaseModel):
    """What a request brings. A field that nobody knows is a mistake worth telling, not one to pass over."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _calendar_day(value: object) -> date:
    # pydantic also takes numbers for dates; 20261124 would be a day in 1970.
    if isinstance(value, str) and _DAY.fullmatch(value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise ValueError("is not a date; write it as 2026-11-24")


# Years in which local time is known and a day more or less is still a date.
Day = Annotated[
    date,
    Field(ge=date(2000, 1, 1), le=date(2199, 12, 31)),
    BeforeValidator(_calendar_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-24"]}),
]

_FIRST_YEAR, _LAST_YEAR = 2000, 2199


def _instant(value: object) -> datetime:
    # pydantic also takes numbers, times without an offset and years that other zones do not have.
    found = read_instant(value.upper()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("is not a time with its offset; write it as 2026-11-24T09:30:00+01:00 (RFC 3339)")
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise ValueError(f"is not between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return found


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-24T09:30:00+01:00"]}),
]


def _with_its_plus(value: object) -> object:
    return value.replace(" ", "+") if isinstance(value, str) else value


# In a URL a plus sign means a space, and is often forgotten to be written as %2B.
QueryInstant = Annotated[Instant, BeforeValidator(_with_its_plus)]

# PostgreSQL's bigint.
LARGEST_ID = 2**63 - 1

# http://hl7.org/fhir/R4/datatypes.html#id
FhirId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]


# Why something is as it is: a short name of ours.
ReasonName = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return value


# An id that a sender made up.
SendersId = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]

# Text on one line: no control characters (PostgreSQL cannot store NUL), nothing at its ends that nobody sees.
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]+$")
]
VenueName = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]+$")
]
