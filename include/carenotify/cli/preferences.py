"""What patients asked for."""

from __future__ import annotations

from contextlib import closing
from typing import TextIO

import click

from carenotify.app import build_app
from carenotify.journeys.import_preferences import COLUMNS, import_preferences


@click.group()
def preferences() -> None:
    """Patients' wishes: channels, language, opt-outs."""


@preferences.command(
    "import",
    help=f"Take over a CSV FILE with the columns {', '.join(COLUMNS)} (lists with semicolons; - is standard input).",
)
@click.argument("file", type=click.File(encoding="utf-8-sig"))
def import_file(file: TextIO) -> None:
    with closing(build_app()) as app:
        read, changed = import_preferences(file, database=app.database)
    click.echo(f"{read} rows read, {changed} new or changed.")
