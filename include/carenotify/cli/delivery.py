"""Publish what is due, and stop or go on sending."""

from __future__ import annotations

import sys
from contextlib import closing

import click

from carenotify.app import build_app
from carenotify.cli.options import channel_option
from carenotify.cli.whoever import whoever
from carenotify.domain.notification import Channel, Lane
from carenotify.journeys.pause_sending import pause_sending, resume_sending
from carenotify.journeys.publish_due import Published
from carenotify.storage import pauses


@click.command("publish-due")
def publish_due() -> None:
    """Publish every notification that is due, urgent lanes first, and wait for the broker's confirms.

    Exit status 1 when something was due and nothing was confirmed.
    """
    with closing(build_app()) as app:
        published = sum((app.due_publisher.publish_due(lane) for lane in Lane), start=Published())
    click.echo(f"{published.confirmed} confirmed, {published.unconfirmed} not confirmed (they stay pending).")
    if published.unconfirmed and not published.confirmed:
        sys.exit(1)


@click.command()
@channel_option
def send(channel: Channel | None) -> None:
    """Deliver what is due from here, without broker and workers, and follow up what cannot be delivered.

    What fails for a passing reason, or waits for a provider that is down, is due again later. Only the providers of the
    asked channel need to be configured. What is due on a paused channel stays pending.
    """
    asked = {channel} if channel else set(Channel)
    with closing(build_app()) as app:
        with app.database.transaction() as transaction:
            paused = asked & pauses.paused_channels(transaction)
        came = app.due_sender.send_everything({one: app.pace(one) for one in Channel if one in asked - paused})
        with app.database.transaction() as transaction:
            held_back = pauses.held_back(transaction, paused, now=app.clock())
    told = ", ".join(f"{number} {status}" for status, number in sorted((+came).items()))  # without what is 0
    click.echo(f"{told or ('Nothing was sent' if paused else 'Nothing was due')}.")
    for one, number in sorted(held_back.items()):
        click.echo(f"{one} is paused: {number} due stay pending. Go on with: python -m carenotify resume")


@click.command()
@channel_option
def pause(channel: Channel | None) -> None:
    """Stop sending, within a second. What is being sent is finished; everything else waits where it is."""
    with closing(build_app()) as app, app.database.transaction() as transaction:
        pause_sending(transaction, channel, by=whoever(), now=app.clock())
    click.echo(f"Paused: {channel or 'every channel'}. Go on with: python -m carenotify resume")


@click.command()
@channel_option
def resume(channel: Channel | None) -> None:
    """Go on sending."""
    with closing(build_app()) as app, app.database.transaction() as transaction:
        lifted = resume_sending(transaction, channel, by=whoever(), now=app.clock())
        still = pauses.paused_channels(transaction)
    click.echo(f"{lifted} pauses lifted; still paused: {', '.join(sorted(still)) or 'none'}.")
