"""Addresses that nothing is sent to any more: look at them, and take it back."""

from __future__ import annotations

from contextlib import closing

import click
from rich.console import Console
from rich.table import Table

from carenotify.app import build_app
from carenotify.cli.options import local_time
from carenotify.cli.whoever import whoever
from carenotify.domain.receipt import SuppressionReason
from carenotify.journeys.lift_suppressions import FOUND_BY_PROVIDERS, lift_suppressions, show_suppressions

_patient = click.option("--patient", "patient_id", metavar="ID", required=True, help="The patient's id at the source.")


@click.group()
def suppressions() -> None:
    """Addresses that nothing is sent to any more."""


@suppressions.command()
@_patient
def show(patient_id: str) -> None:
    """Show what stands against a patient's addresses, without the addresses themselves."""
    with closing(build_app()) as app:
        found = show_suppressions(app.database, patient_id)
        zone = app.settings.timezone
    if not found:
        click.echo("Nothing stands against the addresses of that patient.")
        return
    table = Table("address", "use", "reason", "since")
    for one in found:
        table.add_row(one.contact.system, one.contact.use or "", one.reason, local_time(one.since, zone))
    Console().print(table)


@suppressions.command()
@_patient
@click.option(
    "--reason",
    "reasons",
    type=click.Choice([*map(str, SuppressionReason)]),
    multiple=True,
    default=[*map(str, FOUND_BY_PROVIDERS)],
    show_default=True,
    help="What to lift; repeatable. A STOP or a complaint is the person's word: lift it when they take it back.",
)
def lift(patient_id: str, reasons: tuple[str, ...]) -> None:
    """Send to a patient's addresses again, for everybody who shares them.

    Exit status 1 when there was nothing to lift.
    """
    with closing(build_app()) as app:
        wanted = [SuppressionReason(reason) for reason in reasons]
        lifted = lift_suppressions(app.database, patient_id, wanted, by=whoever(), now=app.clock())
    told = ", ".join(f"{number} {reason}" for reason, number in sorted(lifted.items()))
    click.echo(f"Lifted: {told}." if lifted else "Nothing to lift. What there is: suppressions show")
    if not lifted:
        raise SystemExit(1)
