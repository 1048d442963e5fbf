"""Keys that carenotify uses."""

from __future__ import annotations

import click
from cryptography.fernet import Fernet


@click.group()
def keys() -> None:
    """Make keys."""


@keys.command()
def encryption() -> None:
    """Print a new key for CARENOTIFY_ENCRYPTION_KEYS.

    To rotate: put the new key first and keep the old ones behind it; new values are sealed with the first.
    """
    click.echo(Fernet.generate_key().decode())
