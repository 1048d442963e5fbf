"""What the other rooms call when something happened. Until `begin()` all of it does nothing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import product
from typing import TYPE_CHECKING

from carenotify.domain.delivery import Outcome
from carenotify.domain.notification import Channel, Lane
from carenotify.metrics.words import ATTEMPT_OUTCOMES, METHODS, PROGRESS, RECEIPT_WORDS, REFUSALS, known

if TYPE_CHECKING:
    from carenotify.metrics.instruments import Instruments


class _Process:
    """This process' instruments, once it has any."""

    instruments: Instruments | None = None
    beginning = threading.Lock()


def begin() -> None:
    """From now on this process counts. Called by processes that somebody asks for their metrics."""
    with _Process.beginning:
        if _Process.instruments is None:
            from carenotify.metrics.instruments import Instruments

            _Process.instruments = own = Instruments()
            for lane in Lane:
                _ = own.published[(lane,)], own.unconfirmed[(lane,)]


def begin_channel(channel: Channel, providers: Iterable[str]) -> None:
    """A worker begins to deliver a channel through these providers.

    Counters that can be foreseen are there from the beginning, at 0: Prometheus sees no increase in one that comes up
    with its first event.
    """
    if own := _Process.instruments:
        _ = own.without_use[(channel,)], own.late[(channel,)]
        for reason in REFUSALS:
            _ = own.refused[channel, reason]
        for provider, outcome in product(providers, ATTEMPT_OUTCOMES):
            _ = own.attempts[channel, provider, outcome]


def instruments() -> Instruments | None:
    """This process' instruments; None before `begin()`."""
    return _Process.instruments


def record_published(lane: Lane, *, confirmed: int, unconfirmed: int) -> None:
    """A batch was handed to the broker."""
    if own := _Process.instruments:
        own.published[(lane,)].inc(confirmed)
        own.unconfirmed[(lane,)].inc(unconfirmed)


def record_hand_over(
    channel: Channel, lane: Lane, provider: str, *, waited_seconds: float, call_seconds: float
) -> None:
    """A message that had been due for so long was handed to a provider, which took so long to answer."""
    if own := _Process.instruments:
        own.waited_seconds[channel, lane].observe(waited_seconds if waited_seconds > 0 else 0.0)  # clocks differ
        own.call_seconds[channel, provider].observe(call_seconds)


def record_outcomes(channel: Channel, outcomes: Iterable[Outcome], *, late: int) -> None:
    """These came of a channel's claims; so many of them after their claim had run out."""
    if own := _Process.instruments:
        found = Counter((outcome.provider, outcome.reason or outcome.status) for outcome in outcomes)
        for (provider, word), number in found.items():
            if provider is None:
                own.refused[channel, known(word, REFUSALS)].inc(number)
            else:
                own.attempts[channel, provider, known(word, ATTEMPT_OUTCOMES)].inc(number)
        if late:
            own.late[(channel,)].inc(late)


def record_claimed(channel: Channel, *, refused: Mapping[str, int], without_use: int) -> None:
    """A claim left out so many messages, by reason, and found so many that were somebody else's or done."""
    if own := _Process.instruments:
        for reason, number in refused.items():
            if number:
                own.refused[channel, known(reason, REFUSALS)].inc(number)
        if without_use:
            own.without_use[(channel,)].inc(without_use)


def record_worker(channel: Channel, *, threads: int, busy: int, held: int, connected: bool) -> None:
    """How a channel's worker stands now."""
    if own := _Process.instruments:
        own.threads[(channel,)].set(threads)
        own.threads_busy[(channel,)].set(busy)
        own.claims_held[(channel,)].set(held)
        own.broker_connected[(channel,)].set(connected)


def record_connections(*, busy: int, idle: int, waiting: int) -> None:
    """How this process' connections to the database stand now."""
    if own := _Process.instruments:
        own.connections[("busy",)].set(busy)
        own.connections[("idle",)].set(idle)
        own.connection_waits[()].set(waiting)


def record_round(loop: str, *, seconds: float, done: bool) -> None:
    """A background loop went round."""
    if own := _Process.instruments:
        own.rounds[loop, "done"].inc(done)
        own.rounds[loop, "failed"].inc(not done)
        own.round_seconds[(loop,)].observe(seconds)


def record_swept(*, abandoned: int, expired: int) -> None:
    """The relay settled claims of workers that are gone, and closed what was over."""
    if own := _Process.instruments:
        own.abandoned[()].inc(abandoned)
        own.expired[()].inc(expired)


def record_lost(messages: int) -> None:
    """The relay queued again what the broker had lost."""
    if own := _Process.instruments:
        own.lost[()].inc(messages)


def record_receipts(found: Iterable[tuple[str, str | None]]) -> None:
    """These receipts were new: each one's provider, and where it moves a notification (None: nowhere)."""
    if own := _Process.instruments:
        counted = Counter(found)
        for provider, word in product({provider for provider, _ in counted}, RECEIPT_WORDS):
            own.receipts[provider, word].inc(counted[provider, None if word == PROGRESS else word])


def record_request(method: str, route: str | None, status: int, *, seconds: float) -> None:
    """A request was answered; without a route there was no such URL."""
    if own := _Process.instruments:
        route = route or "unmatched"
        own.requests[known(method, METHODS), route, str(status)].inc()
        own.request_seconds[(route,)].observe(seconds)
