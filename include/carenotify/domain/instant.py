"""Instants as FHIR and RFC 3339 write them: with an offset, always."""

from __future__ import annotations

import re
from datetime import datetime

# http://hl7.org/fhir/R4/datatypes.html#instant; seconds may be missing, because real systems leave them out.
INSTANT_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})\Z"
_PATTERN = re.compile(INSTANT_PATTERN)


def looks_like_instant(text: str) -> bool:
    """Whether the text has the form of an instant; there may be no such day or hour."""
    return _PATTERN.match(text) is not None


def read_instant(text: str | None) -> datetime | None:
    """An aware datetime, or None when the text is not an instant that exists."""
    if text is None or not looks_like_instant(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
