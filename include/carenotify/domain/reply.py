"""What people answer to a text message, as far as a machine has to heed it."""

from __future__ import annotations

import unicodedata
from enum import StrEnum


class ReplyMeaning(StrEnum):
    """What a reply asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    OTHER = "other"


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
