"""What staff were told of, and whether mail to them works."""

from __future__ import annotations

import sys
from contextlib import closing
from uuid import uuid4

import click
from rich.console import Console
from rich.table import Table

from carenotify.app import build_app
from carenotify.cli.options import local_time
from carenotify.domain.alert_mail import AlertMail, message_id_of
from carenotify.errors import SettingsError
from carenotify.storage import alerts as outbox


@click.group()
def alerts() -> None:
    """What staff were, or will be, told of by mail."""


@alerts.command("list")
@click.option("--most", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many to show.")
@click.option(
    "--before", type=click.IntRange(1, 2**63 - 1), help="Go on after that ID, which the page before ended with."
)
def list_alerts(most: int, before: int | None) -> None:
    """Show alerts, newest first. What they mean: docs/operations.md."""
    with closing(build_app()) as app:
        with app.database.transaction() as transaction:
            found = outbox.page(transaction, before=before, limit=most + 1)
        zone = app.settings.timezone
    if not found:
        click.echo("No alerts.")
        return
    table = Table("id", "raised", "severity", "what", "about", "count", "over", "mailed")
    for one in found[:most]:
        times = ("" if at is None else local_time(at, zone) for at in (one.resolved_at, one.mailed_at))
        about = (str(one.id), local_time(one.raised_at, zone), one.severity, one.title, one.subject, str(one.count))
        table.add_row(*about, *times)
    Console().print(table)
    if len(found) > most:
        click.echo(f"There are more: --before {found[most - 1].id}")


@alerts.command("send-test")
def send_test() -> None:
    """Mail a test to CARENOTIFY_ALERT_TO, by the mail server or SES that alerts go through.

    Exit status 1, with the reason, when it was not taken for each of them.
    """
    with closing(build_app()) as app:
        if not app.settings.alert_to:
            raise SettingsError("CARENOTIFY_ALERT_TO: is not set, so nobody is mailed when something fails")
        words = (
            "This is a test of carenotify's alerts: mail to you works. Nothing has failed, and there is nothing to do."
        )
        mail = AlertMail(
            message_id_of(uuid4(), app.settings.email_from), "carenotify: a test of alerts", words, f"<p>{words}</p>"
        )
        refused = app.alert_sender(mail)
        receivers = len(app.settings.alert_to)
    taken = receivers - len(refused)
    click.echo(f"Sent to {taken} receiver{'' if taken == 1 else 's'}; see whether it arrives: {mail.message_id}")
    for one in refused:
        click.echo(f"Refused: number {one.number} of {receivers} in CARENOTIFY_ALERT_TO, by {one.code}", err=True)
    if refused:
        sys.exit(1)
