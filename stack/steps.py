"""Steps that run at the same time as far as what they need allows, so that a cold start is quick."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from stack.progress import step


class Steps:
    """`with Steps() as steps:` waits for all of them at its end and raises the first error."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="step")
        self._futures: list[Future[bool]] = []

    def run(self, name: str, action: Callable[[], object], *, after: Iterable[Future[bool]] = ()) -> Future[bool]:
        """Run `action` when all of `after` have succeeded; skip it when one of them has not."""
        needed = list(after)

        def act() -> bool:
            if not all(future.exception() is None and future.result() for future in needed):
                return False
            with step(name):
                action()
            return True

        future = self._threads.submit(act)
        self._futures.append(future)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            wait(self._futures)
        self._threads.shutdown(wait=error is None, cancel_futures=True)
        for future in self._futures:
            if error is None and (failure := future.exception()) is not None:
                raise failure
