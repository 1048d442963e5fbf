"""`python -m carenotify.sandbox`: the outside world in one process."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from carenotify.sandbox.hospital import DEFAULT_DIRTY_SHARE
from carenotify.sandbox.server import HOST, Options, Sandbox, wind_up

SHARE = click.FloatRange(0, 1)
PORT = click.IntRange(0, 65535)


def _zone(_context: click.Context, _parameter: click.Parameter, value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise click.BadParameter(f"{value!r} is not a time zone of the IANA database") from error


@click.command(context_settings={"show_default": True})
@click.option("--host", default=HOST, help="Address to listen on; leave it unless a container is around it.")
@click.option("--http-port", type=PORT, default=0, help="Patient API, SMS provider and control; 0 takes a free port.")
@click.option("--smtp-port", type=PORT, default=0, help="Mail server; 0 takes a free port.")
@click.option("--appointments", type=click.IntRange(min=1), default=50, help="How many on the reminder day.")
@click.option("--seed", type=int, default=1, help="The same seed makes the same hospital and the same faults.")
@click.option("--reminder-day", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Local day that is three ahead.")
@click.option("--timezone", callback=_zone, default="Europe/Berlin", help="The hospital's zone.")
@click.option("--fail-share", type=SHARE, default=0.1, help="Share of patient API calls that fail.")
@click.option("--provider-fail-share", type=SHARE, default=0.02, help="Share of SMS and mails refused for now.")
@click.option("--dead-share", type=SHARE, default=0.0, help="Share of numbers and mailboxes that take nothing, ever.")
@click.option("--dirty-share", type=SHARE, default=DEFAULT_DIRTY_SHARE, help="Share of broken rows.")
@click.option("--twilio-account-sid", required=True, envvar="CARENOTIFY_TWILIO_ACCOUNT_SID", help="SID to accept.")
@click.option("--twilio-auth-token", required=True, envvar="CARENOTIFY_TWILIO_AUTH_TOKEN", help="Token to accept.")
@click.option("--inbound-url", default=None, help="Where replies such as STOP are posted to.")
@click.option("--latency-ms", type=click.FloatRange(min=0), default=0, help="How long every answer takes.")
def main(reminder_day: datetime, **options: Any) -> None:
    """Stand in for the world outside the hospital: patient API, SMS provider, mail server.

    Prints one JSON line with both ports when it is ready, and runs until SIGTERM or SIGINT. Everybody in it is made up.
    """
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd warns of itself at every login
    try:
        asyncio.run(_serve(Options(reminder_day=reminder_day.date(), **options)))
    except OSError as error:
        raise click.ClickException(f"cannot listen: {error.strerror}") from error


async def _serve(options: Options) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    sandbox = Sandbox(options)
    await sandbox.start()
    click.echo(json.dumps({"http_port": sandbox.http_port, "smtp_port": sandbox.smtp_port}))
    await stopped.wait()
    await wind_up(sandbox)


if __name__ == "__main__":
    main()
