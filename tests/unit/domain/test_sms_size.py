from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify.domain.sms_size import in_gsm7, plain_typography, sms_size, without_diacritics


@pytest.mark.parametrize(
    ("text", "alphabet", "characters", "segments"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("a" * 159 + "€", "GSM-7", 161, 2),
        ("äöüßÄÖÜéèàñ@\n", "GSM-7", 13, 1),
        ("`", "UCS-2", 1, 1),
        ("ç", "UCS-2", 1, 1),
        ("ж" * 70, "UCS-2", 70, 1),
        ("ж" * 71, "UCS-2", 71, 2),
        ("ж" * 134, "UCS-2", 134, 2),
        ("ж" * 135, "UCS-2", 135, 3),
        ("\N{GRINNING FACE}" * 35, "UCS-2", 70, 1),
    ],
)
def test_an_sms_is_counted_as_the_network_counts_it(text: str, alphabet: str, characters: int, segments: int) -> None:
    size = sms_size(text)

    assert (size.alphabet, size.characters, size.segments) == (alphabet, characters, segments)


def test_a_character_of_two_units_is_not_cut_in_half() -> None:
    assert sms_size("a" * 152 + "€" + "a" * 152).segments == 3  # 306 septets would fit two parts if € could be split
    assert sms_size("ж" * 66 + "\N{GRINNING FACE}" + "ж" * 66).segments == 3


@given(st.text())
def test_the_size_follows_the_alphabet_and_the_limits(text: str) -> None:
    size = sms_size(text)
    single, part, widest = (160, 153, 2) if size.alphabet == "GSM-7" else (70, 67, 2)

    assert (size.alphabet == "GSM-7") is in_gsm7(text)
    assert (size.segments == 1) is (size.characters <= single)
    if size.segments > 1:
        assert -(-size.characters // part) <= size.segments <= -(-size.characters // (part - widest + 1))


@given(st.text(), st.text())
def test_more_text_is_never_fewer_segments(text: str, more: str) -> None:
    assert sms_size(text + more).segments >= sms_size(text).segments


def test_typography_becomes_plain_without_a_change_of_meaning() -> None:
    typed = "\N{DOUBLE LOW-9 QUOTATION MARK}Haus B\N{LEFT DOUBLE QUOTATION MARK} \N{EN DASH} 3\N{NO-BREAK SPACE}Etage"

    assert plain_typography(typed + "\N{HORIZONTAL ELLIPSIS}") == '"Haus B" - 3 Etage...'


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Şişli, kap\N{LATIN SMALL LETTER DOTLESS I}", "Sisli, kapi"),
        ("Łódź", "Lódz"),
        ("août", "aout"),
        ("Ärztehaus é", "Ärztehaus é"),
        ("Москва", "Москва"),
    ],
)
def test_only_latin_letters_that_gsm7_lacks_lose_their_diacritics(text: str, plain: str) -> None:
    # ó of Łódź is not in GSM-7 either
    assert without_diacritics(text) == plain.replace("ó", "o")


@given(st.text())
def test_dropping_diacritics_never_needs_more_of_the_alphabet(text: str) -> None:
    assert in_gsm7(without_diacritics(text)) or not in_gsm7(text)
