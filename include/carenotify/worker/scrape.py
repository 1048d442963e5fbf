"""What Prometheus is told when it asks a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from carenotify.app import App
from carenotify.metrics import Exposition, exposition, record_connections
from carenotify.worker.channel_worker import ChannelWorker


def scraper(app: App, workers: Sequence[ChannelWorker], *, relay: bool) -> Callable[[str], Exposition]:
    """Gives the metrics in the format of an Accept header; those of the database where there is a relay.

    Workers without one leave these to the others, so that the database is not asked by everybody.
    """

    def scrape(accept: str) -> Exposition:
        for worker in workers:
            worker.record_state()
        connections = app.database.connections()
        record_connections(busy=connections.busy, idle=connections.idle, waiting=connections.waiting)
        return exposition(accept, reading=app.figure_reader.read(patient_days=False) if relay else None)

    return scrape
