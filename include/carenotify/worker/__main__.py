"""`python -m carenotify.worker`: the standalone process that delivers."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import Any

import click

from carenotify.app import App, build_app
from carenotify.domain.notification import Channel
from carenotify.errors import CarenotifyError
from carenotify.logs import configure_logging
from carenotify.worker.channel_worker import ChannelWorker
from carenotify.worker.health import HealthServer
from carenotify.worker.relay_loop import RelayLoop

log = logging.getLogger(__name__)


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
@click.option("--health-host", default="127.0.0.1", show_default=True, help="Where /health and /ready listen.")
@click.option("--health-port", default=0, show_default="a free one", help="Port of /health and /ready.")
@click.option("--relay/--no-relay", default=True, show_default=True, help="Whether this process sweeps as well.")
def main(channels: tuple[Channel, ...], health_host: str, health_port: int, *, relay: bool) -> None:
    configure_logging()
    try:
        app = build_app(application="carenotify-worker")
        _run(app, channels, health_host=health_host, health_port=health_port, relay=relay)
    except CarenotifyError as error:
        sys.exit(f"carenotify.worker cannot start: {error}")


def _run(app: App, channels: tuple[Channel, ...], *, health_host: str, health_port: int, relay: bool) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    workers = [
        ChannelWorker(channel=channel, deliverer=app.deliverer, connect=app.consumer, threads=app.settings.send_threads)
        for channel in channels
    ]

    def state() -> dict[str, Any]:
        return {
            "ready": not stop.is_set() and all(worker.connected for worker in workers),
            "channels": {worker.channel.value: dict(worker.counts) for worker in workers},
        }

    health = HealthServer(host=health_host, port=health_port, state=state)
    health.start()
    for worker in workers:
        worker.start()
    sweeper = RelayLoop(
        relay=app.relay, database=app.database, workers=workers, interval_seconds=app.settings.relay_interval_seconds
    )
    if relay:
        sweeper.start()
    log.info("delivering %s; health on port %d", ", ".join(channels), health.port)
    stop.wait()
    log.info("draining")
    if relay:
        sweeper.stop()
    for worker in workers:
        worker.drain()
    health.stop()
    app.close()
    log.info("stopped")


if __name__ == "__main__":
    main()
