"""Load appointments, and decide what happens to what was held or put in quarantine."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from carenotify.app import App, build_app
from carenotify.domain.window import local_day
from carenotify.journeys.ingest_appointments import ingest_appointments
from carenotify.journeys.redrive_quarantine import redrive_quarantine
from carenotify.journeys.release_load import discard_load, release_load
from carenotify.storage import quarantine as quarantined


@click.command()
@click.option("--date", "asked", type=click.DateTime(["%Y-%m-%d"]), show_default="today", help="The first local day.")
@click.option("--days", type=click.IntRange(1, 367), help="How many days.", show_default="as set, and today")
@click.option("--release", metavar="RUN", help="Let a held load in after all, instead of loading.")
@click.option("--discard", metavar="RUN", help="Throw a held load away, instead of loading.")
def ingest(asked: datetime | None, days: int | None, release: str | None, discard: str | None) -> None:
    """Copy appointments and contacts from the patient API, as the ingest_appointments DAG does."""
    with closing(build_app()) as app:
        if discard is not None:
            discard_load(app.database, run_id=discard, clock=app.clock)
            click.echo(f"Load {discard} is thrown away; the last good copy stays.")
        elif release is not None:
            _say(release_load(app.database, run_id=release, acceptor=app.event_acceptor, clock=app.clock))
        else:
            _say(_ingest(app, asked, days))


def _ingest(app: App, asked: datetime | None, days: int | None) -> dict[str, int]:
    today = local_day(app.clock(), app.settings.timezone)
    return ingest_appointments(
        app.database,
        app.source,
        settings=app.settings,
        run_id=_run_id("command", app),
        first_day=today if asked is None else asked.date(),
        days=days or 1 + app.settings.ingest_days_ahead,
        acceptor=app.event_acceptor,
        clock=app.clock,
    )


@click.group()
def quarantine() -> None:
    """Rows that broke a rule of the quality gate."""


@quarantine.command("list")
def list_rules() -> None:
    """Show how many rows wait in quarantine, by run and rule."""
    with closing(build_app()) as app, app.database.transaction() as transaction:
        rows = quarantined.count_open(transaction)
    table = Table("run", "rule", "rows", "what became of them", title="Quarantine", title_justify="left")
    for run_id, rule, rejected, count in rows:
        table.add_row(run_id, rule, str(count), "not loaded" if rejected else "loaded without that address")
    Console().print(table)


@quarantine.command()
@click.option("--run", "run_id", help="Only what that run put there.", show_default="all")
def redrive(run_id: str | None) -> None:
    """Send rows in quarantine through the gate again, and load those that pass."""
    with closing(build_app()) as app:
        counts = redrive_quarantine(
            app.database,
            redrive_id=_run_id("redrive", app),
            run_id=run_id,
            timezone=app.settings.timezone,
            max_changes=app.settings.max_changes_per_load,
            docs_path=Path(app.settings.data_docs_path),
            acceptor=app.event_acceptor,
            clock=app.clock,
        )
    _say(counts)


def _run_id(how: str, app: App) -> str:
    return f"{how}__{app.clock().isoformat(timespec='seconds')}"


def _say(counts: dict[str, int]) -> None:
    click.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))
