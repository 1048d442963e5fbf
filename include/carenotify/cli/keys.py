"""Keys: those that let systems in over HTTP, and those that seal personal data."""

from __future__ import annotations

from contextlib import closing

import click
from cryptography.fernet import Fernet
from rich.console import Console
from rich.table import Table

from carenotify.app import build_app
from carenotify.cli.whoever import whoever
from carenotify.domain.access import ALL_SCOPES, Scope
from carenotify.journeys.issue_key import ensure_key, issue_key
from carenotify.journeys.revoke_key import revoke_key
from carenotify.storage import api_keys


@click.group()
def keys() -> None:
    """Make, list and revoke keys."""


@keys.command()
@click.option("--name", required=True, help="Which system will use it.")
@click.option(
    "--scope", "scopes", type=click.Choice([*map(str, Scope)]), multiple=True, help="What it may do; repeatable."
)
@click.option("--all-scopes", is_flag=True, help="Everything, other keys included.")
def create(name: str, scopes: tuple[str, ...], *, all_scopes: bool) -> None:
    """Make an API key and show it, this once."""
    if bool(scopes) == all_scopes:
        raise click.UsageError("say what it may do: --scope (repeatable) or --all-scopes")
    allowed = ALL_SCOPES if all_scopes else {Scope(scope) for scope in scopes}
    with closing(build_app()) as app:
        key, text = issue_key(app.database, name=name, scopes=allowed, by=whoever(), now=app.clock())
    click.echo(f"API key {key.id} for {name}. It is shown this once:", err=True)
    click.echo(text)


@keys.command()
@click.option("--name", default="demo", show_default=True, help="What to call it in lists.")
def ensure(name: str) -> None:
    """Let the key in CARENOTIFY_API_KEY do everything, if it is not known yet.

    The key comes by the environment, because everybody on a machine can read the arguments of its processes.
    """
    with closing(build_app()) as app:
        text = app.settings.required("api_key").get_secret_value()
        key = ensure_key(app.database, text, name=name, scopes=ALL_SCOPES, by=whoever(), now=app.clock())
    click.echo(f"API key {key.id} is {'revoked, and stays so' if key.revoked_at else 'known'}.")


@keys.command("list")
def list_keys() -> None:
    """Show every API key, without the keys themselves."""
    with closing(build_app()) as app, app.database.transaction() as transaction:
        known = api_keys.listing(transaction)
    table = Table("id", "name", "may", "made", "last used", "revoked", title="API keys", title_justify="left")
    for key in known:
        may = "everything" if key.scopes == ALL_SCOPES else "\n".join(sorted(key.scopes))
        times = (key.created_at, key.last_used_at, key.revoked_at)
        table.add_row(key.id, key.name, may, *(f"{time:%Y-%m-%d %H:%M}" if time else "" for time in times))
    Console().print(table)


@keys.command()
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """Let nobody in with the key of that ID any more, within seconds."""
    with closing(build_app()) as app:
        revoked = revoke_key(app.database, key_id, by=whoever(), now=app.clock())
    click.echo(f"API key {key_id} {'is revoked' if revoked else 'was revoked before'}.")


@keys.command()
def encryption() -> None:
    """Print a new key for CARENOTIFY_ENCRYPTION_KEYS.

    To rotate: put the new key first and keep the old ones behind it; new values are sealed with the first.
    """
    click.echo(Fernet.generate_key().decode())
