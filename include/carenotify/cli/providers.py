"""How the providers stand."""

from __future__ import annotations

import sys
from contextlib import closing

import click
from rich.console import Console
from rich.table import Table

from carenotify.app import build_app
from carenotify.cli.options import local_time
from carenotify.cli.whoever import whoever
from carenotify.journeys.list_providers import list_providers
from carenotify.journeys.retry_provider import retry_provider


@click.group(invoke_without_command=True)
@click.pass_context
def providers(context: click.Context) -> None:
    """Show which providers are in use, which are down, and since when."""
    if context.invoked_subcommand is None:
        _show()


@providers.command()
@click.argument("name")
def retry(name: str) -> None:
    """Let the open provider of that NAME be tried out now, and not when its time has come. Exit status 1 if none is."""
    with closing(build_app()) as app:
        known = {one for of in app.provider_names.values() for one in of}
        if name not in known:
            raise click.UsageError(f"{name!r} is not in use; these are: {', '.join(sorted(known))}")
        if not retry_provider(app.database, name, by=whoever(), now=app.clock()):
            click.echo(f"{name} is not open: messages go through it, or it is being tried out.")
            sys.exit(1)
    click.echo(f"{name} is tried out with the next message.")


def _show() -> None:
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
