"""How an SMS is brought down to fewer segments without losing what matters: the day, the time, the place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

from carenotify.domain.sms_size import in_gsm7, plain_typography, sms_size, without_diacritics

Context = dict[str, Any]

# A venue is not cut below what still tells where to go.
_VENUE_LIMITS = (48, 40, 32)
_CUT = "..."


def shortest_sms(render: Callable[[Context], str], context: Context) -> str:
    """The first rendering that fits one segment; else the first of those with the fewest.

    Economies, mildest first: leave out a given name that GSM-7 cannot write, drop the diacritics that it lacks, leave
    out any given name, shorten long venues.
    """
    best, fewest = "", 0
    for text in _renderings(render, context):
        segments = sms_size(text).segments
        if segments == 1:
            return text
        if not fewest or segments < fewest:
            best, fewest = text, segments
    return best


def _renderings(render: Callable[[Context], str], context: Context) -> Iterator[str]:
    text = plain_typography(render(context))
    yield text
    name = context.get("given_name")
    nameless = {**context, "given_name": None} if name else context
    if name and not in_gsm7(name):
        yield (text := plain_typography(render(nameless)))
    yield without_diacritics(text)
    yield _plain(render(nameless))
    for limit in _VENUE_LIMITS:
        shorter = {field: _with_short_venues(value, limit) for field, value in nameless.items()}
        if _venues(shorter) != _venues(nameless) and _still_distinct(nameless, shorter):
            yield _plain(render(shorter)).replace(_CUT + ".", _CUT)


def _plain(text: str) -> str:
    return without_diacritics(plain_typography(text))


def _with_short_venues(value: Any, limit: int) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_with_short_venues(item, limit) for item in value)
    if isinstance(value, BaseModel) and (venue := _venue(value)) is not None:
        return value.model_copy(update={"venue": _shortened(venue, limit)})
    return value


def _shortened(venue: str, limit: int) -> str:
    """Cut at the end of a word, with dots to say so."""
    if len(venue) <= limit:
        return venue
    cut = venue[: limit - len(_CUT) + 1]
    words = cut.rpartition(" ")[0].rstrip(" ,;-(/") if " " in cut else ""
    return (words if len(words) >= limit // 2 else cut[:-1]) + _CUT


def _still_distinct(before: Context, after: Context) -> bool:
    """Two places must not read as one."""
    return len(_venues(before)) == len(_venues(after))


def _venues(context: Context) -> set[str]:
    lists = [value if isinstance(value, tuple | list) else (value,) for value in context.values()]
    return {venue for items in lists for item in items if (venue := _venue(item)) is not None}


def _venue(value: Any) -> str | None:
    venue = getattr(value, "venue", None) if isinstance(value, BaseModel) else None
    return venue if isinstance(venue, str) else None
