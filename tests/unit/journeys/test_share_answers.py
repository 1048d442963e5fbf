from __future__ import annotations

import threading

import pytest

from carenotify.errors import DatabaseUnavailableError, StorageError
from carenotify.journeys.share_answers import SharedAnswers

LIFE = 2.0


class Work:
    """Counts how often it is done, takes as long as it is told, and fails when it is told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.takes = 0.0
        self.times = 0
        self.failure: Exception | None = None

    def do(self, question: str) -> str:
        self.times += 1
        self.now += self.takes
        if self.failure is not None:
            raise self.failure
        return f"{question} {self.times}"

    def shared(self) -> SharedAnswers[str, str]:
        return SharedAnswers(self.do, good_for_seconds=lambda _: LIFE, at_most=2, timer=lambda: self.now)


@pytest.fixture
def work() -> Work:
    return Work()


def test_an_answer_is_the_same_for_its_life_and_new_afterwards(work: Work) -> None:
    answers = work.shared()
    assert answers.to("a") == "a 1"
    work.now += LIFE - 0.1
    assert answers.to("a") == "a 1"
    work.now += 0.2
    assert answers.to("a") == "a 2"


def test_questions_have_answers_of_their_own_and_only_so_many_are_kept(work: Work) -> None:
    answers = work.shared()
    assert [answers.to(question) for question in ("a", "b", "b", "c", "a")] == ["a 1", "b 2", "b 2", "c 3", "a 4"]


def test_what_takes_long_is_worked_out_more_seldom(work: Work) -> None:
    answers = work.shared()
    work.takes = 1.0
    answers.to("a")
    work.now += 9
    assert answers.to("a") == "a 1"
    work.now += 1.1
    assert answers.to("a") == "a 2"


def test_a_database_that_is_away_is_not_asked_by_everybody(work: Work) -> None:
    answers = work.shared()
    work.failure = DatabaseUnavailableError("the database cannot be used just now")
    for _ in range(3):
        with pytest.raises(DatabaseUnavailableError, match="cannot be used"):
            answers.to("a")
    assert work.times == 1
    work.failure = None
    work.now += LIFE + 0.1
    assert answers.to("a") == "a 2"


def test_any_other_error_is_everybodys_own(work: Work) -> None:
    answers = work.shared()
    work.failure = StorageError("refused")
    for _ in range(2):
        with pytest.raises(StorageError):
            answers.to("a")
    assert work.times == 2


def test_while_one_works_it_out_the_others_are_told_the_last_answer() -> None:
    begun, go_on = threading.Event(), threading.Event()
    now = [0.0]
    times = []

    def slow(question: str) -> int:
        times.append(question)
        if len(times) > 1:
            begun.set()
            assert go_on.wait(10)
        return len(times)

    answers = SharedAnswers(slow, good_for_seconds=lambda _: LIFE, at_most=1, timer=lambda: now[0])
    assert answers.to("a") == 1
    now[0] += LIFE + 1
    told: list[int] = []
    worker = threading.Thread(target=lambda: told.append(answers.to("a")))
    worker.start()
    assert begun.wait(10)
    assert answers.to("a") == 1
    go_on.set()
    worker.join(10)
    assert (told, answers.to("a"), len(times)) == ([2], 2, 2)
