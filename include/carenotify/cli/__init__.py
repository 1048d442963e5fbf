"""The command line: the journeys that the DAGs run, for a person."""

from __future__ import annotations

import sys

import click

from carenotify.cli.alerts import alerts
from carenotify.cli.dead_letters import dead_letters
from carenotify.cli.delivery import pause, publish_due, resume, send
from carenotify.cli.keys import keys
from carenotify.cli.loads import ingest, quarantine
from carenotify.cli.preferences import preferences
from carenotify.cli.providers import providers
from carenotify.cli.reminders import remind, report
from carenotify.cli.setup import migrate
from carenotify.cli.suppressions import suppressions
from carenotify.errors import CarenotifyError
from carenotify.logs import configure_logging


class _Group(click.Group):
    """Errors of ours end the command with one clear line instead of a traceback."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except CarenotifyError as error:
            click.echo(f"carenotify {context.invoked_subcommand}: {error}", err=True)
            sys.exit(1)


@click.group(cls=_Group)
def main() -> None:
    """Appointments in, reminders and changes out.

    Settings come from CARENOTIFY_ variables of the environment (docs/settings.md). For the system that `make up` or
    `make demo` started: . .run/env
    """
    configure_logging()


for command in (
    migrate,
    ingest,
    quarantine,
    remind,
    publish_due,
    send,
    pause,
    resume,
    preferences,
    providers,
    report,
    keys,
    dead_letters,
    suppressions,
    alerts,
):
    main.add_command(command)
