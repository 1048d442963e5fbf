"""Searching appointments as FHIR R4 has it: date prefixes, _lastUpdated, _include, and pages that stay stable.

http://hl7.org/fhir/R4/search.html. A search is frozen when it starts; its pages are asked for by an opaque token.
"""

from __future__ import annotations

import operator
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from carenotify.sandbox.hospital import Hospital
from carenotify.sandbox.resources import Resource, reference_of
from carenotify.sandbox.ward import Row

_KEPT_SEARCHES = 1000
_MAX_COUNT = 500
_DEFAULT_COUNT = 50
_COMPARE: dict[str, Callable[[datetime, datetime], bool]] = {
    "ge": operator.ge,
    "gt": operator.ge,
    "lt": operator.lt,
    "le": operator.lt,
}


class SearchError(ValueError):
    """A search parameter that this server does not understand. The message names it."""


@dataclass(frozen=True, slots=True)
class Search:
    """One frozen search: the ids it found, how many go on a page, and what to include."""

    ids: tuple[str, ...]
    count: int
    includes: frozenset[str]


class Searches:
    """Remembers searches by token, the youngest _KEPT_SEARCHES of them; an older token is gone, as on real servers."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Search] = OrderedDict()

    def keep(self, search: Search) -> str:
        """A token under which the search can be found again."""
        token = secrets.token_hex(16)
        self._kept[token] = search
        if len(self._kept) > _KEPT_SEARCHES:
            self._kept.popitem(last=False)
        return token

    def find(self, token: str) -> Search | None:
        """The search, or None when its token is too old."""
        return self._kept.get(token)


def search(hospital: Hospital, parameters: list[tuple[str, str]]) -> Search:
    """Run a search over everything that is not deleted. Raises SearchError."""
    tests: list[Callable[[Row], bool]] = []
    count, includes = _DEFAULT_COUNT, set()
    for name, value in parameters:
        if name in {"date", "_lastUpdated"}:
            tests.append(_date_test(name, value, hospital.timezone))
        elif name == "status":
            tests.append(_status_test(value))
        elif name == "_count":
            count = _count(value)
        elif name == "_include":
            includes.add(value)
        elif name not in {"_sort", "_format", "_total"}:
            raise SearchError(f"unknown search parameter {name}")
    found = [
        (row.indexed_at, key) for key, row in hospital.rows.items() if not row.deleted and all(t(row) for t in tests)
    ]
    return Search(tuple(key for _, key in sorted(found)), count, frozenset(includes))


def _count(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise SearchError("_count must be a whole number from 1")
    return min(int(value), _MAX_COUNT)


def _status_test(value: str) -> Callable[[Row], bool]:
    wanted = set(value.split(","))
    return lambda row: row.resource["status"] in wanted


def _date_test(name: str, value: str, timezone: ZoneInfo) -> Callable[[Row], bool]:
    prefix, text = (value[:2], value[2:]) if value[:2] in {*_COMPARE, "eq"} else ("eq", value)
    first, after = _period(name, text, timezone)
    moment = _last_updated if name == "_lastUpdated" else _start
    if prefix == "eq":
        return lambda row: first <= moment(row) < after
    compare, bound = _COMPARE[prefix], first if prefix in {"ge", "lt"} else after
    return lambda row: compare(moment(row), bound)


def _period(name: str, text: str, timezone: ZoneInfo) -> tuple[datetime, datetime]:
    """First instant of what was written and the first one after it; a day without time is one of the hospital's."""
    try:
        if len(text) == len("2026-01-01"):
            day = date.fromisoformat(text)
            return tuple(  # type: ignore[return-value]
                datetime.combine(each, time(), tzinfo=timezone).astimezone(UTC)
                for each in (day, day + timedelta(days=1))
            )
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise SearchError(f"{name} is not a FHIR date") from error
    aware = instant if instant.tzinfo else instant.replace(tzinfo=timezone)
    return aware.astimezone(UTC), aware.astimezone(UTC) + timedelta(milliseconds=1)


def _start(row: Row) -> datetime:
    return row.indexed_at


def _last_updated(row: Row) -> datetime:
    return datetime.fromisoformat(row.resource["meta"]["lastUpdated"])


def included(hospital: Hospital, matches: list[Resource], includes: frozenset[str]) -> list[Resource]:
    """Patients and places that these appointments name, each once; one that resolves nowhere is left out."""
    stores = {
        "Appointment:patient": ("Patient", hospital.patients),
        "Appointment:location": ("Location", hospital.locations),
    }
    found: dict[str, Resource] = {}
    for kind, store in (stores[name] for name in sorted(includes) if name in stores):
        for resource in matches:
            key = reference_of(resource, kind)
            if key in store:
                found[f"{kind}/{key}"] = store[key]
    return list(found.values())
