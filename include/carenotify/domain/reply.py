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


# By the languages of our templates. Whoever sends one of the English words alone is barred, or let in again, by Twilio
# itself (https://help.twilio.com/articles/223134027). Of the other languages, no word is here that may be about the
# appointment: "annuler" or "iptal" is for a person to read, and so is a yes.
WORDS = {
    "en": {
        ReplyMeaning.STOP: ("stop", "stop all", "unsubscribe", "cancel", "end", "quit"),
        ReplyMeaning.START: ("start", "yes", "unstop"),
        ReplyMeaning.HELP: ("help", "info"),
    },
    "de": {
        ReplyMeaning.STOP: ("stopp", "stoppen", "abmelden", "abmeldung", "abbestellen", "austragen"),
        ReplyMeaning.START: ("anmelden",),
        ReplyMeaning.HELP: ("hilfe",),
    },
    "fr": {
        ReplyMeaning.STOP: (
            "arrêt",
            "arrêter",
            "arrêtez",
            "désabonner",
            "désabonnement",
            "désinscrire",
            "désinscription",
        ),
        ReplyMeaning.START: ("réabonner",),
        ReplyMeaning.HELP: ("aide",),
    },
    "tr": {
        ReplyMeaning.STOP: ("dur", "durdur", "çık", "ret", "abonelikten çık"),  # noqa: RUF001 - Turkish
        ReplyMeaning.START: ("başla", "başlat"),
        ReplyMeaning.HELP: ("yardım",),  # noqa: RUF001 - Turkish
    },
}
_DOTLESS = str.maketrans("\N{LATIN SMALL LETTER DOTLESS I}", "i")


def _letters(text: str) -> str:
    """Letters and digits alone, without case and accents, which many telephones leave out."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(letter for letter in folded if letter.isalnum()).translate(_DOTLESS)


_MEANINGS = {
    _letters(word): meaning for by_meaning in WORDS.values() for meaning, words in by_meaning.items() for word in words
}


def meaning_of(body: str) -> ReplyMeaning:
    """What a reply means, in any of our languages. Case, accents, spaces and punctuation do not count.

    Other words do: "stop please" is for a person.
    """
    return _MEANINGS.get(_letters(body), ReplyMeaning.OTHER)
