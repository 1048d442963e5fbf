from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from carenotify.errors import DatabaseUnavailableError, StorageError, TooBusyError
from carenotify.journeys.share_answers import SharedAnswers
from carenotify.journeys.take_turns import Turns

LIFE = 3600.0
OLD = 7200.0
REST = 2.0


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
        return shared(self.do, lambda: self.now)


def shared(work_out: Callable[[str], str], timer: Callable[[], float]) -> SharedAnswers[str, str]:
    return SharedAnswers(
        work_out, good_for_seconds=lambda _: LIFE, old_for_seconds=OLD, at_most=2, turns=Turns(3), timer=timer
    )


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
    work.takes = LIFE
    answers.to("a")
    work.now += 9 * LIFE
    assert answers.to("a") == "a 1"
    work.now += 1.1 * LIFE
    assert answers.to("a") == "a 2"


def test_a_failure_is_told_to_all_for_two_seconds_and_then_tried_again(work: Work) -> None:
    answers = work.shared()
    work.failure = DatabaseUnavailableError("the database cannot be used just now")
    for question in ("a", "a", "b"):
        with pytest.raises(DatabaseUnavailableError, match="cannot be used"):
            answers.to(question)
    assert work.times == 1
    work.failure = None
    work.now += REST
    assert answers.to("a") == "a 2"
    assert answers.to("b") == "b 3"


def test_an_answer_that_is_there_is_told_rather_than_a_failure_until_it_is_too_old(work: Work) -> None:
    answers = work.shared()
    answers.to("a")
    work.failure = DatabaseUnavailableError("the database cannot be used just now")
    work.now += LIFE
    assert answers.to("a") == "a 1"
    work.now += REST
    assert (answers.to("a"), work.times) == ("a 1", 3)
    work.now += OLD
    with pytest.raises(DatabaseUnavailableError):
        answers.to("a")


@pytest.mark.parametrize(
    ("failure", "told"),
    [(StorageError("refused"), "refused"), (KeyError("anna"), r"could not be worked out \(KeyError\)")],
    ids=["storage", "anything"],
)
def test_any_other_error_is_raised_once_and_told_to_the_others(work: Work, failure: Exception, told: str) -> None:
    answers = work.shared()
    work.failure = failure
    with pytest.raises(type(failure)):
        answers.to("a")
    with pytest.raises(StorageError, match=told):
        answers.to("a")
    assert work.times == 1


class SlowWork:
    """Does not end before it is let go on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.times = 0
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def do(self, question: str) -> str:
        self.times += 1
        self.begun.set()
        assert self.go_on.wait(20)
        return f"{question} {self.times}"


@pytest.fixture
def slow_work() -> SlowWork:
    return SlowWork()


def test_while_one_works_it_out_the_others_are_told_the_last_answer_however_old(slow_work: SlowWork) -> None:
    answers = shared(slow_work.do, lambda: slow_work.now)
    slow_work.go_on.set()
    assert answers.to("a") == "a 1"
    slow_work.begun.clear()
    slow_work.go_on.clear()
    slow_work.now += OLD * 9
    told: list[str] = []
    worker = threading.Thread(target=lambda: told.append(answers.to("a")))
    worker.start()
    assert slow_work.begun.wait(10)
    assert [answers.to("a") for _ in range(7)] == ["a 1"] * 7
    slow_work.go_on.set()
    worker.join(10)
    assert (told, answers.to("a"), slow_work.times) == (["a 2"], "a 2", 2)


def test_of_eight_who_find_no_answer_two_wait_two_seconds_and_five_are_refused_at_once(slow_work: SlowWork) -> None:
    answers = shared(slow_work.do, lambda: slow_work.now)
    ended: list[str] = []

    def ask() -> None:
        try:
            ended.append(answers.to("a"))
        except (TooBusyError, DatabaseUnavailableError) as error:
            ended.append(type(error).__name__)

    callers = [threading.Thread(target=ask) for _ in range(8)]
    for each in callers:
        each.start()
    deadline = time.monotonic() + 10
    while len(ended) < 7 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended == ["TooBusyError"] * 5 + ["DatabaseUnavailableError"] * 2
    slow_work.go_on.set()
    for each in callers:
        each.join(10)
    assert (ended[-1], slow_work.times) == ("a 1", 1)


def test_when_every_turn_is_taken_an_old_answer_is_told_and_whoever_has_none_is_refused(work: Work) -> None:
    turns = Turns(1)
    answers = SharedAnswers(
        work.do, good_for_seconds=lambda _: LIFE, old_for_seconds=OLD, at_most=2, turns=turns, timer=lambda: work.now
    )
    answers.to("a")
    work.now += LIFE
    with turns.one():
        assert answers.to("a") == "a 1"
        with pytest.raises(TooBusyError):
            answers.to("b")
    assert answers.to("b") == "b 2"
