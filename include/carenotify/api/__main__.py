"""`python -m carenotify.api`: the HTTP surface in a process of its own, for those who want it outside Airflow.

It knows API keys only; people's Airflow logins are known where Airflow is.
"""

from __future__ import annotations

import sys

import click

from carenotify.api.server import Place, serve
from carenotify.errors import CarenotifyError
from carenotify.journeys.take_turns import AT_ONCE, LEAST_THREADS
from carenotify.logs import configure_logging


@click.command(help=__doc__)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, help="The port to listen on.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option(
    "--threads",
    type=click.IntRange(min=LEAST_THREADS),
    default=LEAST_THREADS,
    show_default=True,
    help=f"Threads of each process: {AT_ONCE} for reports, {AT_ONCE} for lists, and the others for events at any time.",
)
def main(host: str, port: int, workers: int, threads: int) -> None:
    configure_logging()
    try:
        serve(Place(host, port, workers, threads))
    except CarenotifyError as error:
        sys.exit(f"carenotify.api cannot start: {error}")


if __name__ == "__main__":
    main()
