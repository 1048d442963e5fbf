"""What a setting may be: how its text is read, and what is wrong with it, in words for whoever set it."""

from __future__ import annotations

import re
from datetime import datetime, time
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import phonenumbers
from cryptography.fernet import Fernet
from pydantic import AfterValidator, BeforeValidator, SecretStr

from carenotify.domain.notification import Channel
from carenotify.domain.window import SendWindow

_OUR_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[^\s:@/?#\[\]]+)(:\d+)?(/[^\s?#]*)?")


def _words(value: object) -> object:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


def _at_least_one(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError("needs at least one value")
    return value


def _zone(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{value!r} is not a time zone; use a name of the IANA database, for example Europe/Berlin"
        ) from error


def _window(value: object) -> object:
    return SendWindow.parse(value) if isinstance(value, str) else value


def _time_of_day(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return datetime.strptime(value.strip(), "%H:%M").time()  # noqa: DTZ007 - a time of the hospital's, on any day
    except ValueError:
        raise ValueError(f"{value!r} is not a time of day; write it as 18:00") from None


def _region(value: str) -> str:
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{value!r} is not a region; use an ISO 3166 code in capitals, for example DE")
    return value


def _fernet_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for position, key in enumerate(keys, start=1):
        try:
            Fernet(key.get_secret_value())
        except ValueError as error:
            raise ValueError(
                f"key {position} is not a Fernet key; make one with: python -m carenotify keys encryption"
            ) from error
    return keys


def _database_url(url: SecretStr) -> SecretStr:
    if not _is_url(url.get_secret_value(), "postgresql", "postgres"):
        raise ValueError("is not a PostgreSQL URL (postgresql://user:password@host:5432/name)")
    return url


def _broker_url(url: SecretStr) -> SecretStr:
    if not all(_is_url(node.strip(), "amqp", "amqps") for node in url.get_secret_value().split(",")):
        raise ValueError("is not an AMQP URL (amqp://user:password@host:5672/vhost), or several with commas")
    return url


def _public_url(url: str) -> str:
    if not _is_url(url, "http", "https") or not _OUR_URL.fullmatch(url):
        raise ValueError("is not a URL of ours (https://reminders.hospital.example): no user, no query, no fragment")
    return url


def is_here(url: str) -> bool:
    """Whether its host is the machine that it is used on."""
    host = urlsplit(url).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def _is_url(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and parts.port != 0  # asking for a port that is no number raises
    except ValueError:
        return False


# With commas between them; `Some…` are never empty.
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
SomeWords = Annotated[Words, AfterValidator(_at_least_one)]
SomeChannels = Annotated[tuple[Channel, ...], BeforeValidator(_words), AfterValidator(_at_least_one)]
SomeKeys = Annotated[
    tuple[SecretStr, ...], BeforeValidator(_words), AfterValidator(_at_least_one), AfterValidator(_fernet_keys)
]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Window = Annotated[SendWindow, BeforeValidator(_window)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
Region = Annotated[str, AfterValidator(_region)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
BrokerUrl = Annotated[SecretStr, AfterValidator(_broker_url)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
