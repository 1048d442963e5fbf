"""`python -m carenotify.worker`: the standalone process that delivers."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from carenotify import metrics
from carenotify.app import App, build_app
from carenotify.domain.notification import Channel
from carenotify.errors import CarenotifyError, SettingsError
from carenotify.journeys.list_providers import Standing, standing
from carenotify.logs import configure_logging, place_of
from carenotify.worker.channel_worker import ChannelWorker
from carenotify.worker.health import HealthServer
from carenotify.worker.periodic import Periodic
from carenotify.worker.relay_loop import RelayLoop
from carenotify.worker.scrape import scraper
from carenotify.worker.valve import Valve
from carenotify.worker.watchdog import WatchdogLoop

log = logging.getLogger(__name__)

# How often patients whom only an event spoke of are asked for.
_CONTACT_SECONDS = 1.0
_DATABASE_SECONDS = 2.0
# How often what did not reach its patient is looked for.
_FALLBACK_SECONDS = 0.5
# How often receipts that came before our own commit are looked at again, those that did not come are asked for, and
# those that never will are given up.
_RECEIPT_SECONDS = 1.0
_LOOK_UP_SECONDS = 10.0
_CLOSE_SECONDS = 3600.0
# How often what the broker gave up is looked for.
_DEAD_LETTER_SECONDS = 5.0
# How often settled days are looked for whose figures nobody has kept.
_DAYS_SECONDS = 60.0
# How long a loop's round may go on once everything is delivered and the process is to end.
_LAST_ROUND_SECONDS = 5.0
_ENDINGS = (signal.SIGTERM, signal.SIGINT)


def _channels(_: click.Context, __: click.Parameter, text: str) -> tuple[Channel, ...]:
    if text == "all":
        return tuple(Channel)
    try:
        return tuple(Channel(name.strip()) for name in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{error}; known are {', '.join(Channel)} and all") from error


@click.command(help=__doc__)
@click.option(
    "--channels", default="all", show_default=True, callback=_channels, help="sms, email, or all; with commas."
)
@click.option(
    "--health-host", default="127.0.0.1", show_default=True, help="Where /health, /ready and /metrics listen."
)
@click.option("--health-port", default=0, show_default="a free one", help="Port of /health, /ready and /metrics.")
@click.option(
    "--urgent", is_flag=True, help="Take urgent messages only, before all other workers; no bulk stands in their way."
)
@click.option("--relay/--no-relay", default=True, show_default=True, help="Whether this process sweeps as well.")
def main(channels: tuple[Channel, ...], health_host: str, health_port: int, *, urgent: bool, relay: bool) -> None:
    # Before any thread begins, so that all leave them to the main thread, which waits for one (`sigwait`). One that is
    # delivered to another thread would not wake it.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    configure_logging()
    threading.excepthook = end_with_thread
    try:
        metrics.begin()
        app = build_app(application="carenotify-worker")
        workers = [_channel_worker(app, channel, urgent=urgent) for channel in channels]
        loops = _loops(app, workers, relay=relay, look_up=not urgent)
        scrape = scraper(app, workers, relay=relay)
        _run(app, workers, loops, scrape, health_host=health_host, health_port=health_port)
    except CarenotifyError as error:
        sys.exit(f"carenotify.worker cannot start: {error}")


def _health_server(
    host: str,
    port: int,
    *,
    ready: Callable[[], bool],
    state: Callable[[], dict[str, Any]],
    scrape: Callable[[str], metrics.Exposition],
) -> HealthServer:
    try:
        return HealthServer(host=host, port=port, ready=ready, state=state, scrape=scrape)
    except OSError as error:
        raise SettingsError(f"--health-port {port}: cannot listen on {host}: {error.strerror}") from error


def end_with_thread(died: threading.ExceptHookArgs) -> None:
    """A thread that dies of a bug ends the process: one that goes on without it would look well and send nothing.

    Whoever watches the process starts it again; the relay settles what was claimed. The error's text stays unsaid,
    since it may hold personal data.
    """
    name = died.thread.name if died.thread else "unknown"
    log.critical("thread %s died of a %s", name, place_of(died.exc_value or died.exc_type()))
    os._exit(1)


def _channel_worker(app: App, channel: Channel, *, urgent: bool) -> ChannelWorker:
    _ = app.providers[channel]  # what is missing for any of them shows now, not at the first message
    metrics.begin_channel(channel, app.provider_names[channel])
    return ChannelWorker(
        channel=channel,
        deliverer=app.deliverer,
        connect=app.consumer,
        threads=app.settings.send_threads,
        urgent_only=urgent,
        pace=app.pace(channel),
    )


def _loops(app: App, workers: Sequence[ChannelWorker], *, relay: bool, look_up: bool) -> list[Periodic]:
    loops: list[Periodic] = [Valve(database=app.database, chooser=app.provider_chooser, workers=workers)]
    if look_up:  # by whoever has the channel's providers, which a relay beside it may not have
        loops.append(_LookUps(app, [worker.channel for worker in workers]))
    if relay:
        loops.append(RelayLoop(app.relay, interval_seconds=app.settings.relay_interval_seconds))
        loops.append(Periodic("fallback", app.fallback_sweeper.sweep, interval_seconds=_FALLBACK_SECONDS))
        loops.append(Periodic("dead-letters", app.dead_letter_drain.drain, interval_seconds=_DEAD_LETTER_SECONDS))
        loops.append(Periodic("days", app.day_counter.keep_missing, interval_seconds=_DAYS_SECONDS))
        loops.extend(_receipt_loops(app))
    if relay and app.settings.patient_api_url is not None:
        loops.append(Periodic("contacts", app.contact_completer.complete, interval_seconds=_CONTACT_SECONDS))
    loops.append(WatchdogLoop(app.watchdog, app.settings, no_alerts_because=app.no_alerts_because))
    return loops


class _LookUps(Periodic):
    """Asks for receipts that did not come; a round ends early when the process is to end."""

    def __init__(self, app: App, channels: Sequence[Channel]) -> None:
        super().__init__("look-ups", self._look_up, interval_seconds=_LOOK_UP_SECONDS)
        self._journey = app.receipt_look_up
        self._channels = channels

    def _look_up(self) -> None:
        for channel in self._channels:
            self._journey.look_up(channel, until=lambda: self.stopping)


def _receipt_loops(app: App) -> list[Periodic]:
    def close() -> None:
        app.receipt_recorder.forget_unknown()
        app.receipt_look_up.close_silent()
        app.answer_forgetter.forget()

    return [
        Periodic("receipts", app.receipt_recorder.apply_waiting, interval_seconds=_RECEIPT_SECONDS),
        Periodic("silence", close, interval_seconds=_CLOSE_SECONDS),
    ]


def _standings(app: App, channels: Sequence[Channel]) -> list[Standing]:
    """How the providers stand, as far as this process knows: no database is asked."""
    names = ((channel, name) for channel in channels for name in app.provider_names[channel])
    return [standing(channel, name, app.provider_chooser.breaker(name)) for channel, name in names]


def _run(
    app: App,
    workers: Sequence[ChannelWorker],
    loops: Sequence[Periodic],
    scrape: Callable[[str], metrics.Exposition],
    *,
    health_host: str,
    health_port: int,
) -> None:
    draining = threading.Event()

    def ready() -> bool:
        connected = not draining.is_set() and all(worker.connected for worker in workers)
        return connected and app.database.answers(timeout_seconds=_DATABASE_SECONDS)

    def state() -> dict[str, Any]:
        channels = {worker.channel.value: dict(worker.counts) for worker in workers}
        return {"channels": channels, "providers": _standings(app, [worker.channel for worker in workers])}

    health = _health_server(health_host, health_port, ready=ready, state=state, scrape=scrape)
    health.start()
    for worker in workers:
        worker.start()
    for loop in loops:
        loop.start()
    log.info("delivering %s; health on port %d", ", ".join(worker.channel for worker in workers), health.port)
    signal.sigwait(_ENDINGS)
    draining.set()
    log.info("draining")
    wind_down(workers, loops)
    health.stop()
    app.close()
    log.info("stopped")


def wind_down(workers: Sequence[ChannelWorker], loops: Sequence[Periodic]) -> None:
    """Drain first: what is in hand at a provider matters more than the end of any loop's round."""
    for loop in loops:
        loop.ask_to_stop()
    with ThreadPoolExecutor(len(workers)) as drains:
        list(drains.map(lambda worker: worker.drain(), workers))
    end_by = time.monotonic() + _LAST_ROUND_SECONDS
    for loop in loops:
        loop.stop(timeout_seconds=max(0.0, end_by - time.monotonic()))


if __name__ == "__main__":
    main()
