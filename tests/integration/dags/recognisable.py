"""A patient whom nobody mistakes for another, and the search for anything of them in whatever form."""

from __future__ import annotations

import html
import json
import quopri
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

GIVEN = "Xanthippe-Örtrud"
FAMILY = "Quellenfluh"
BORN = "1931-02-28"
STREET = "Nebelhornsteig 17"
DESCRIPTION = "Verdacht auf Pankreatitis"
COMMENT = "bitte nüchtern erscheinen, Xeroderma"
REPLY = "Ich heiße Quellenfluh und mein Knie schmerzt"
# The one thing of the appointment that may stand in our tables as it is.
VENUE = "Haus Regenbogen, Zimmer 12"
# What the patients' numbers and addresses have in common, each with two digits or a number of its own at its end.
PHONE_STEM = "152099887"

# What is looked for. Of the given name both parts, since parts of it may be cut off, and its first one is plain ASCII.
SECRETS = {
    "given name": "Xanthippe",
    "its second part": "Örtrud",
    "family name, or address": FAMILY,
    "date of birth": BORN,
    "street": "Nebelhornsteig",
    "description": "Pankreatitis",
    "comment": "Xeroderma",
    "reply": "Knie schmerzt",
    "phone": PHONE_STEM,
}
_BETWEEN_DIGITS = re.compile(r"[\s()/.\-]")


def phone(number: int) -> str:
    """The mobile of patient `number`, E.164."""
    return f"+49{PHONE_STEM}{number:02d}"


def mail(number: int) -> str:
    """The address of patient `number`."""
    return f"xanthippe.{FAMILY.lower()}.{number}@example.org"


def fhir_patient(number: int, **fields: Any) -> dict[str, Any]:
    """Patient `number` as the hospital's API tells of them, with much that is none of our business."""
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "name": [{"use": "official", "family": FAMILY, "given": [GIVEN]}],
        "birthDate": BORN,
        "gender": "female",
        "address": [{"line": [STREET], "city": "Murnau", "postalCode": "82418"}],
        "contact": [{"name": {"family": FAMILY, "given": ["Xanthippe Mutter"]}}],
        "communication": [{"language": {"coding": [{"code": "de"}]}}],
        "telecom": [
            {"system": "phone", "value": phone(number), "use": "mobile"},
            {"system": "email", "value": mail(number)},
        ],
    } | fields


def fhir_appointment(number: int, start: str) -> dict[str, Any]:
    """Their appointment."""
    return {
        "resourceType": "Appointment",
        "id": f"a{number}",
        "status": "booked",
        "start": start,
        "description": DESCRIPTION,
        "comment": COMMENT,
        "patientInstruction": COMMENT,
        "reasonCode": [{"text": DESCRIPTION}],
        "participant": [
            {"actor": {"reference": f"Patient/p{number}", "display": f"{GIVEN} {FAMILY}"}, "status": "accepted"},
            {"actor": {"reference": "Location/l1", "display": VENUE}, "status": "accepted"},
        ],
    }


def _readable_forms(word: str) -> set[str]:
    """How a word looks in URLs, JSON, HTML, mails and PostgreSQL's two ways to write bytes; small letters."""
    bytes_of = word.encode()
    return {
        form.casefold()
        for form in (
            word,
            quote(word),
            quote_plus(word),
            json.dumps(word)[1:-1],
            html.escape(word),
            word.encode("ascii", "xmlcharrefreplace").decode(),
            quopri.encodestring(bytes_of).decode(),
            bytes_of.hex(),
            "".join(chr(one) if one < 128 else f"\\{one:03o}" for one in bytes_of),
        )
    }


def _base64_forms(word: str) -> Iterator[str]:
    """How a word looks inside of base64, wherever it begins; without the letters that its neighbours decide."""
    for before in range(3):
        encoded = b64encode(b"\0" * before + word.encode()).decode().rstrip("=")
        yield encoded[-(-before * 4 // 3) + (before > 0) :][:-1]


def found_in(content: str | bytes) -> set[str]:
    """Which of the patient's secrets are in there, in any form."""
    text = content.decode("utf-8", "backslashreplace") if isinstance(content, bytes) else content
    folded = text.casefold()
    joined = _BETWEEN_DIGITS.sub("", folded)
    found = set()
    for name, word in SECRETS.items():
        written = any(form in folded for form in _readable_forms(word))
        spaced = word.isdigit() and word in joined
        encoded = any(form in text for spelling in (word, word.lower()) for form in _base64_forms(spelling))
        if written or spaced or encoded:
            found.add(name)
    return found


def leaks(places: Mapping[str, str | bytes]) -> dict[str, set[str]]:
    """By place, what was found there and must not be."""
    return {place: found for place, content in places.items() if (found := found_in(content))}
