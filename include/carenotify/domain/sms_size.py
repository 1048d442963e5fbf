"""How long an SMS is: its alphabet, its characters and its segments (3GPP TS 23.038, TS 23.040 9.2.3.24.1)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

GSM7 = "GSM-7"
UCS2 = "UCS-2"

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
_ALPHABET = _BASIC | _EXTENDED

# In one message, and in each part of a longer one, whose header takes six bytes.
_SINGLE = {GSM7: 160, UCS2: 70}
_PART = {GSM7: 153, UCS2: 67}

_TYPOGRAPHY = str.maketrans(
    {
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{SINGLE LOW-9 QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{DOUBLE LOW-9 QUOTATION MARK}": '"',
        "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}": '"',
        "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}": '"',
        "\N{HYPHEN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{BULLET}": "-",
        "\N{MIDDLE DOT}": "-",
        "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{NO-BREAK SPACE}": " ",
        "\N{THIN SPACE}": " ",
        "\N{NARROW NO-BREAK SPACE}": " ",
        "\N{ZERO WIDTH SPACE}": "",
        "\t": " ",
    }
)
_NO_DECOMPOSITION = str.maketrans(
    {"\N{LATIN SMALL LETTER DOTLESS I}": "i", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D"}
    | {"œ": "oe", "Œ": "OE", "þ": "th", "Þ": "Th", "ð": "d", "Ð": "D"}
)
_END_OF_BMP = 0xFFFF


@dataclass(frozen=True, slots=True)
class SmsSize:
    """`characters` are what the network counts: septets in GSM-7 (two for €), 16-bit units in UCS-2 (two for 😀)."""

    alphabet: Literal["GSM-7", "UCS-2"]
    characters: int
    segments: int


def sms_size(text: str) -> SmsSize:
    """Alphabet, length and number of segments of one SMS text."""
    alphabet: Literal["GSM-7", "UCS-2"] = "GSM-7" if _ALPHABET.issuperset(text) else "UCS-2"
    characters = _length(text, alphabet)
    if characters <= _SINGLE[alphabet]:
        return SmsSize(alphabet, characters, 1)
    return SmsSize(alphabet, characters, _parts(text, alphabet))


def in_gsm7(text: str) -> bool:
    """Whether every character is in the GSM-7 alphabet, its extension table included."""
    return _ALPHABET.issuperset(text)


def plain_typography(text: str) -> str:
    """Curly quotes, dashes, ellipses and odd spaces as their plain forms: same meaning, and in GSM-7."""
    return text if in_gsm7(text) else text.translate(_TYPOGRAPHY)


def without_diacritics(text: str) -> str:
    """Latin letters that GSM-7 lacks as their base letter (ş as s); other scripts stay as they are."""
    return "".join(map(_base_letter, text)) if not in_gsm7(text) else text


def _base_letter(character: str) -> str:
    if character in _ALPHABET:
        return character
    base = unicodedata.normalize("NFKD", character.translate(_NO_DECOMPOSITION))
    base = "".join(part for part in base if not unicodedata.combining(part))
    return base if base and in_gsm7(base) else character


def _length(text: str, alphabet: str) -> int:
    if alphabet == UCS2:
        return len(text.encode("utf-16-le")) // 2
    return len(text) if _BASIC.issuperset(text) else len(text) + sum(character in _EXTENDED for character in text)


def _widths(text: str, alphabet: str) -> Iterator[int]:
    for character in text:
        wide = character in _EXTENDED if alphabet == GSM7 else ord(character) > _END_OF_BMP
        yield 2 if wide else 1


def _parts(text: str, alphabet: str) -> int:
    """A character of two units is never cut in half, so a part may stay one unit short."""
    parts, used = 1, 0
    for width in _widths(text, alphabet):
        used += width
        if used > _PART[alphabet]:
            parts, used = parts + 1, width
    return parts
