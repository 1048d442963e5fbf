"""What people answer to a text message, as far as a machine has to heed it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum


class ReplyMeaning(StrEnum):
    """What a reply asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Reply:
    """A message to us. `id` is its provider's; `repr` shows neither who wrote nor what."""

    id: str
    channel: str
    address: str = field(repr=False)
    body: str = field(repr=False)
    meaning: ReplyMeaning


# Twilio's own words: whoever sends one of these alone is barred, or let in again, by Twilio itself.
# https://help.twilio.com/articles/223134027
_WORDS = {
    ReplyMeaning.STOP: ("stop", "stopall", "unsubscribe", "cancel", "end", "quit"),
    ReplyMeaning.START: ("start", "yes", "unstop"),
    ReplyMeaning.HELP: ("help", "info"),
}
_MEANINGS = {word: meaning for meaning, words in _WORDS.items() for word in words}


def meaning_of(body: str) -> ReplyMeaning:
    """What a reply means. Case, spaces and punctuation do not count; other words do: "stop please" is for a person."""
    letters = (letter for letter in unicodedata.normalize("NFKC", body).casefold() if letter.isalnum())
    return _MEANINGS.get("".join(letters), ReplyMeaning.OTHER)
