"""How what is due gets to its patients: publish, deliver, sweep up, fall back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from carenotify.config import Settings
from carenotify.domain.notification import Channel
from carenotify.domain.recipient_limit import URGENT_KINDS, RecipientLimit
from carenotify.domain.token_bucket import Rate
from carenotify.journeys.choose_provider import ProviderChooser
from carenotify.journeys.deliver_batch import Deliverer
from carenotify.journeys.drain_dead_letters import DeadLetterDrain
from carenotify.journeys.fall_back import FallbackSweeper
from carenotify.journeys.pace_sending import UNPACED, Pace, SharedPace
from carenotify.journeys.publish_at_once import PromptPublisher
from carenotify.journeys.publish_due import DuePublisher
from carenotify.journeys.relay_due import Relay
from carenotify.journeys.send_due import DueSender

if TYPE_CHECKING:
    from carenotify.app import App


def due_publisher(app: App) -> DuePublisher:
    """Publishes what is due."""
    return DuePublisher(
        app.database,
        app.publisher,
        app.clock,
        batch=app.settings.publish_batch,
        lease_for=timedelta(seconds=app.settings.publish_lease_seconds),
    )


def prompt_publisher(app: App) -> PromptPublisher:
    """Publishes what somebody has just asked for."""
    return PromptPublisher(app.due_publisher.publish_due)


def provider_chooser(app: App) -> ProviderChooser:
    """Chooses a provider for each notification."""
    return ProviderChooser(database=app.database, providers=app.providers, clock=app.clock)


def pace(app: App, channel: Channel) -> Pace:
    """How fast messages of a channel may go out."""
    limits = {one.name: app.settings.messages_per_second(one.name) for one in app.providers[channel]}
    if not any(limits.values()):
        return UNPACED
    return SharedPace(
        app.database,
        {name: Rate(limit) if limit else None for name, limit in limits.items()},
        provider=lambda: app.provider_chooser.mostly_used(channel),
        clock=app.clock,
    )


def deliverer(app: App) -> Deliverer:
    """Delivers what was queued."""
    return Deliverer(
        database=app.database,
        chooser=app.provider_chooser,
        hospital=app.hospital,
        clock=app.clock,
        claim_for=timedelta(seconds=app.settings.claim_seconds),
        recipient_limit=_recipient_limit(app.settings),
    )


def _recipient_limit(settings: Settings) -> RecipientLimit:
    """How many messages one person gets."""
    spared = URGENT_KINDS if settings.recipient_limit_spares_urgent else ()
    return RecipientLimit(settings.recipient_messages_per_hour or None, spared)


def due_sender(app: App) -> DueSender:
    """Delivers what is due, without the broker."""
    return DueSender(
        app.database,
        app.deliverer,
        app.provider_chooser,
        app.relay,
        app.fallback_sweeper,
        app.clock,
        threads=app.settings.send_threads,
    )


def relay(app: App) -> Relay:
    """Sweeps up what is due, abandoned or over."""
    return Relay(
        app.database,
        app.due_publisher,
        app.receipt_recorder,
        broker_url=app.settings.broker_url.get_secret_value(),
        clock=app.clock,
        lost_after=timedelta(seconds=app.settings.requeue_after_seconds),
    )


def dead_letter_drain(app: App) -> DeadLetterDrain:
    """Keeps what the broker gave up."""
    return DeadLetterDrain(app.database, app.failed_queue, app.clock)


def fallback_sweeper(app: App) -> FallbackSweeper:
    """Follows up what did not reach its patient."""
    return FallbackSweeper(app.database, app.settings, app.provider_names, app.clock)
