"""Make a database ready."""

from __future__ import annotations

from contextlib import closing

import click

from carenotify.app import build_app
from carenotify.storage.migrate import migrate as run_migrations


@click.command()
def migrate() -> None:
    """Bring the database to this version's schema, and store the wordings that come with it."""
    with closing(build_app()) as app:
        run_migrations(app.settings.database_url.get_secret_value(), timezone=app.settings.timezone.key)
        added = app.seed_templates()
    click.echo(f"The schema is up to date; {added} template versions were added.")
