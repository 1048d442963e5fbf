"""How the providers stand."""

from __future__ import annotations

from contextlib import closing

import click
from rich.console import Console
from rich.table import Table

from carenotify.app import build_app
from carenotify.cli.options import local_time
from carenotify.journeys.list_providers import list_providers


@click.command()
def providers() -> None:
    """Show which providers are in use, which are down, and since when."""
    with closing(build_app()) as app:
        found = list_providers(app.database, app.provider_names)
        zone = app.settings.timezone
    table = Table(
        "channel", "provider", "state", "since", "tried again", "last code", title="Providers, in their order"
    )
    for one in found:
        state = one.state.value.replace("_", " ")
        times = ("" if at is None else local_time(at, zone) for at in (one.since, one.retry_at))
        table.add_row(one.channel, one.provider, state, *times, one.last_code or "")
    Console().print(table)
