"""Plan a day's reminders, and tell what became of them."""

from __future__ import annotations

from contextlib import closing
from datetime import date, datetime

import click
from rich.console import Console
from rich.table import Table

from carenotify.app import App, build_app
from carenotify.domain.kinds import REMINDER
from carenotify.domain.window import local_day
from carenotify.journeys.report_delivery import DeliveryReport, report_delivery

_date = click.option("--date", "asked", type=click.DateTime(["%Y-%m-%d"]), show_default="today", help="The local day.")


@click.command()
@_date
@click.option("--dry-run", is_flag=True, help="Count only; store and send nothing. May look ahead.")
def remind(asked: datetime | None, *, dry_run: bool) -> None:
    """Plan a day's reminders and publish them, as the send_reminders DAG does."""
    with closing(build_app()) as app:
        planned = app.reminder_planner.plan(_day(asked, app), dry_run=dry_run)
        _table("Planned" if not dry_run else "Would be planned", planned.summary())
        if not dry_run:
            published = app.due_publisher.publish_due(REMINDER.lane)
            click.echo(f"{published.confirmed} published and confirmed, {published.unconfirmed} not.")


@click.command()
@_date
@click.option("--json", "as_json", is_flag=True, help="Everything, with the id of each notification, as JSON.")
def report(asked: datetime | None, *, as_json: bool) -> None:
    """Tell what became of the reminders that were planned on a day."""
    with closing(build_app()) as app:
        told = report_delivery(_day(asked, app), database=app.database, settings=app.settings)
    if as_json:
        click.echo(told.model_dump_json())
    else:
        _show(told)


def _day(asked: datetime | None, app: App) -> date:
    return local_day(app.clock(), app.settings.timezone) if asked is None else asked.date()


def _show(told: DeliveryReport) -> None:
    share = "nobody was due" if told.reached_share is None else f"{told.reached_share:.2%}"
    figures = {
        "appointments due": told.appointments_due,
        "patient-days due": told.patient_days_due,
        "patient-days reached": f"{told.patient_days_reached} ({share})",
        "patient-days untold": told.untold,
        "notifications": told.notifications,
        "reached by channel": told.reached_by_channel,
        "by channel": told.by_channel,
        "by status": told.by_status,
        "by reason": told.by_reason,
        "fallbacks": told.fallbacks,
        "possible duplicates": told.possible_duplicates,
        "new suppressions": told.suppressions,
        "receipts": told.receipts,
        "dead letters": told.dead_letters,
        "skipped appointments": told.skipped,
        "rows in quarantine": told.quarantined,
        "addresses left out": told.addresses_left_out,
    }
    _table(f"Reminders of {told.day}", figures)


def _table(title: str, figures: dict[str, object]) -> None:
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, value in figures.items():
        shown = "\n".join(f"{key}: {count}" for key, count in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), shown or "none")
    Console().print(table)
