from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify.domain.reply import ReplyMeaning, meaning_of

STOP_WORDS = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"]
AROUND = st.text(" \t\n.,!?\"'()*-_…❤🛑", max_size=4)


@given(AROUND, st.sampled_from(STOP_WORDS), AROUND, st.booleans())
def test_stop_is_understood_whatever_stands_around_it(before: str, word: str, after: str, small: bool) -> None:
    assert meaning_of(before + (word.lower() if small else word) + after) is ReplyMeaning.STOP


@pytest.mark.parametrize("body", ["Stop", "stop all", "S T O P", "\uff33\uff34\uff2f\uff30", "Stop.\n"])
def test_stop_is_understood_in_many_hands(body: str) -> None:
    assert meaning_of(body) is ReplyMeaning.STOP


@pytest.mark.parametrize("body", ["START", "yes", "Yes!", "unstop"])
def test_start_is_understood(body: str) -> None:
    assert meaning_of(body) is ReplyMeaning.START


@pytest.mark.parametrize("body", ["HELP", "info?"])
def test_help_is_understood(body: str) -> None:
    assert meaning_of(body) is ReplyMeaning.HELP


@pytest.mark.parametrize(
    "body", ["", " ", "?", "stop please", "Yes, I will come", "don't stop", "STOP 2", "the end", "cancelled", "ok"]
)
def test_a_sentence_is_for_a_person_to_read(body: str) -> None:
    assert meaning_of(body) is ReplyMeaning.OTHER


@given(st.text())
def test_any_text_means_something(body: str) -> None:
    assert meaning_of(body) in ReplyMeaning
