"""Dates and times as a patient reads them: in the template's language, in the hospital's zone."""

from __future__ import annotations

from datetime import date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import UnknownLocaleError

from carenotify.errors import WordingError

# Babel takes plain "en" for American; a template for that is called en-US.
_LOCALES = {"en": "en-GB"}


@lru_cache(maxsize=64)
def locale_of(language: str) -> Locale:
    """The CLDR locale of a language tag (BCP 47). Raises WordingError for one that CLDR does not know."""
    try:
        return Locale.parse(_LOCALES.get(language, language), sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise WordingError(f"{language!r} is not a language that dates can be written in") from error


@lru_cache(maxsize=4096)
def short_date(day: date, language: str) -> str:
    """Weekday, day and month: `Tue 24 Nov`."""
    locale = locale_of(language)
    return str(locale.datetime_skeletons["MMMEd"].apply(day, locale))


@lru_cache(maxsize=4096)
def long_date(day: date, language: str) -> str:
    """Weekday, day, month and year: `Tuesday, 24 November 2026`."""
    locale = locale_of(language)
    return str(locale.date_formats["full"].apply(day, locale))


def clock_time(instant: datetime, language: str, timezone: ZoneInfo) -> str:
    """`10:30`; with the zone's name in the hour that comes twice when clocks go back: `02:30 CET`."""
    local = instant.astimezone(timezone)
    told = _clock_time(local.time(), language)
    twice = local.replace(fold=1 - local.fold).utcoffset() != local.utcoffset()
    return f"{told} {local.tzname()}" if twice else told


@lru_cache(maxsize=4096)
def _clock_time(wall: time, language: str) -> str:
    locale = locale_of(language)
    return str(locale.time_formats["short"].apply(wall, locale))
