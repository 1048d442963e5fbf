"""Kinds of fields that several requests have."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema


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

# Text on one line: no control characters (PostgreSQL cannot store NUL), nothing at its ends that nobody sees.
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]+$")
]
