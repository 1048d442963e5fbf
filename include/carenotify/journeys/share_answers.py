"""Answer a question that many ask at once: work it out for one of them, and tell the others the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

from carenotify.errors import DatabaseUnavailableError, StorageError, TooBusyError
from carenotify.journeys.take_turns import Turns

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")

# What takes long is worked out more seldom: at most this share of the time is spent on it.
_BUSY_SHARE = 0.1
# Nobody tries again sooner when it failed, and nobody waits longer for another's answer.
_REST_SECONDS = 2.0
# So long after a failure it is taken for how things stand, while somebody tries again.
_FAILURE_SECONDS = 10.0
_PATIENCE_SECONDS = 2.0
_TURN_SECONDS = 0.25


class _Remembered(Generic[Answer]):
    """One question's last answer."""

    def __init__(self) -> None:
        self.working = Lock()
        self.answer: Answer | None = None
        self.answered_at = 0.0
        self.good_for = 0.0

    def is_good(self, now: float) -> bool:
        return self.answer is not None and now - self.answered_at < self.good_for


class SharedAnswers(Generic[Question, Answer]):
    """Works an answer out at most once in `good_for_seconds`, and never twice at a time; keeps `at_most` answers.

    Whoever asks while another works it out is told the last answer at once; where there is none, they wait for two
    seconds at most. What fails is not tried again for two seconds, and no other question either; meanwhile an answer is
    told that is no older than `old_for_seconds`. Working out and waiting take one of the `turns`. Safe to use from
    threads.
    """

    def __init__(
        self,
        work_out: Callable[[Question], Answer],
        *,
        good_for_seconds: Callable[[Question], float],
        old_for_seconds: float,
        at_most: int,
        turns: Turns,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work_out = work_out
        self._good_for_seconds = good_for_seconds
        self._old_for_seconds = old_for_seconds
        self._turns = turns
        self._timer = timer
        self._guard = Lock()
        self._known: LRUCache[Question, _Remembered[Answer]] = LRUCache(at_most)
        self._failure: StorageError | None = None
        self._failed_at = 0.0

    def to(self, question: Question) -> Answer:
        """The answer. Raises what working it out raises, and TooBusyError."""
        with self._guard:
            known = self._known.setdefault(question, _Remembered())
        if self._is_due(known):
            self._renew(known, question)
        return self._told(known)

    def _is_due(self, known: _Remembered[Answer]) -> bool:
        return not known.is_good(self._timer()) and self._failed_within(_REST_SECONDS) is None

    def _failed_within(self, seconds: float) -> StorageError | None:
        return self._failure if self._timer() - self._failed_at < seconds else None

    def _renew(self, known: _Remembered[Answer], question: Question) -> None:
        """Work it out, unless another does: wait for that only where there is nothing to tell."""
        has_something = known.answer is not None or self._failed_within(_FAILURE_SECONDS) is not None
        if has_something and known.working.locked():
            return
        try:
            with self._turns.one(patience_seconds=0 if has_something else _TURN_SECONDS):
                self._take_over(known, question, patience_seconds=0 if has_something else _PATIENCE_SECONDS)
        except TooBusyError:
            if known.answer is None:
                raise

    def _take_over(self, known: _Remembered[Answer], question: Question, *, patience_seconds: float) -> None:
        if not known.working.acquire(timeout=patience_seconds):
            return
        try:
            if self._is_due(known):
                self._work(known, question)
        finally:
            known.working.release()

    def _work(self, known: _Remembered[Answer], question: Question) -> None:
        began = self._timer()
        try:
            answer = self._work_out(question)
        except StorageError as error:
            # Without its traceback, which would keep whatever was read.
            self._fail(type(error)(str(error)))
            if not isinstance(error, DatabaseUnavailableError):
                raise
        except Exception as error:
            self._fail(StorageError(f"it could not be worked out ({type(error).__name__})"))
            raise
        else:
            now = self._timer()
            known.good_for = max(self._good_for_seconds(question), (now - began) / _BUSY_SHARE)
            known.answer, known.answered_at, self._failure = answer, now, None

    def _fail(self, failure: StorageError) -> None:
        self._failed_at = self._timer()
        self._failure = failure

    def _told(self, known: _Remembered[Answer]) -> Answer:
        failure = self._failed_within(_FAILURE_SECONDS)
        if known.answer is not None and (failure is None or self._timer() - known.answered_at <= self._old_for_seconds):
            return known.answer
        if failure is not None:
            raise type(failure)(str(failure))
        raise DatabaseUnavailableError("the database has not answered another caller yet")
