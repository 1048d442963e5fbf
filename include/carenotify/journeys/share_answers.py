"""Answer a question that many ask at once: work it out for one of them, and tell the others the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

from carenotify.errors import DatabaseUnavailableError

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")

# Whoever asks while another works it out is told the last answer, unless that is older than so many times its life.
_STALE_LIVES = 5
# What takes long is worked out more seldom: at most this share of the time is spent on it.
_BUSY_SHARE = 0.1


class _Remembered(Generic[Answer]):
    """One question's last answer, or why there was none."""

    def __init__(self) -> None:
        self.working = Lock()
        self.answer: Answer | None = None
        self.failure: DatabaseUnavailableError | None = None
        self.asked_at = 0.0
        self.good_for = 0.0

    def age(self, now: float) -> float:
        """In lives: 1 and more is old."""
        return (now - self.asked_at) / self.good_for if self.good_for else _STALE_LIVES + 1


class SharedAnswers(Generic[Question, Answer]):
    """Works an answer out at most once in `good_for_seconds`, and never twice at a time; keeps `at_most` answers.

    A database that is away is remembered for as long, so that not everybody waits for it. Safe to use from threads.
    """

    def __init__(
        self,
        work_out: Callable[[Question], Answer],
        *,
        good_for_seconds: Callable[[Question], float],
        at_most: int,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work_out = work_out
        self._good_for_seconds = good_for_seconds
        self._timer = timer
        self._guard = Lock()
        self._known: LRUCache[Question, _Remembered[Answer]] = LRUCache(at_most)

    def to(self, question: Question) -> Answer:
        """The answer. Raises what working it out raises."""
        with self._guard:
            known = self._known.setdefault(question, _Remembered())
        old = known.age(self._timer())
        if old >= 1 and known.working.acquire(blocking=known.answer is None or old > _STALE_LIVES):
            try:
                if known.age(self._timer()) >= 1:
                    self._refresh(known, question)
            finally:
                known.working.release()
        return _told(known)

    def _refresh(self, known: _Remembered[Answer], question: Question) -> None:
        began = self._timer()
        try:
            known.answer, known.failure = self._work_out(question), None
        except DatabaseUnavailableError as error:
            known.failure = error
        known.asked_at = self._timer()
        known.good_for = max(self._good_for_seconds(question), (known.asked_at - began) / _BUSY_SHARE)


def _told(known: _Remembered[Answer]) -> Answer:
    if known.failure is not None:
        raise DatabaseUnavailableError(str(known.failure))
    assert known.answer is not None
    return known.answer
