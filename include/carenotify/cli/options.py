"""What several commands ask in the same way, and how they show a time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import click

from carenotify.domain.notification import Channel

channel_option = click.option(
    "--channel",
    type=click.Choice([*map(str, Channel)]),  # of the enum itself, click would offer SMS and refuse sms
    callback=lambda _context, _option, name: None if name is None else Channel(name),
    help="One channel only.",
    show_default="all",
)


def local_time(at: datetime, zone: ZoneInfo) -> str:
    """A time on the hospital's clock, to the second."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
