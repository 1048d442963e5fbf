from __future__ import annotations

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify import templates
from carenotify.domain.reply import WORDS, ReplyMeaning, meaning_of

STOP_WORDS = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"]
AROUND = st.text(" \t\n.,!?\"'()*-_…❤🛑", max_size=4)


@given(AROUND, st.sampled_from(STOP_WORDS), AROUND, st.booleans())
def test_stop_is_understood_whatever_stands_around_it(before: str, word: str, after: str, small: bool) -> None:
    assert meaning_of(before + (word.lower() if small else word) + after) is ReplyMeaning.STOP


@pytest.mark.parametrize("body", ["Stop", "stop all", "S T O P", "\uff33\uff34\uff2f\uff30", "Stop.\n"])
def test_stop_is_understood_in_many_hands(body: str) -> None:
    assert meaning_of(body) is ReplyMeaning.STOP


@pytest.mark.parametrize(
    "body",
    [
        "STOPP",
        "Abmelden",
        "abbestellen!",
        "ARRET",
        "arrêt",
        "Désabonner",
        "DUR",
        "Çik",
        "\u00c7\u0131k",
        "CIK",
        "çik",
        "ÇIK",
        "ret",
    ],
)
def test_stop_is_understood_in_the_languages_that_we_write_in(body: str) -> None:
    assert meaning_of(body) is ReplyMeaning.STOP


@pytest.mark.parametrize(
    ("body", "meaning"),
    [("anmelden", "start"), ("BASLAT", "start"), ("Hilfe", "help"), ("aide?", "help"), ("YARDIM", "help")],
)
def test_so_are_start_and_help(body: str, meaning: str) -> None:
    assert meaning_of(body) is ReplyMeaning(meaning)


def test_every_language_of_our_texts_has_its_words() -> None:
    texts = (files(templates) / "reminder").iterdir()
    assert {file.name.split(".")[1] for file in texts if file.name.startswith("sms.")} == set(WORDS)
    assert all(words for by_meaning in WORDS.values() for words in (by_meaning[one] for one in list(ReplyMeaning)[:3]))


def test_a_word_means_one_thing_in_all_languages() -> None:
    for by_meaning in WORDS.values():
        for meaning, words in by_meaning.items():
            assert {meaning_of(word) for word in words} == {meaning}


@pytest.mark.parametrize("body", ["START", "yes", "Yes!", "unstop"])
def test_start_is_understood(body: str) -> None:
    assert meaning_of(body) is ReplyMeaning.START


@pytest.mark.parametrize("body", ["HELP", "info?"])
def test_help_is_understood(body: str) -> None:
    assert meaning_of(body) is ReplyMeaning.HELP


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "?",
        "stop please",
        "Yes, I will come",
        "don't stop",
        "STOP 2",
        "the end",
        "cancelled",
        "ok",
        "annuler",
        "iptal",
        "ja",
    ],
)
def test_a_sentence_is_for_a_person_to_read(body: str) -> None:
    assert meaning_of(body) is ReplyMeaning.OTHER


@given(st.text())
def test_any_text_means_something(body: str) -> None:
    assert meaning_of(body) in ReplyMeaning
