"""Where the parts are put together, and nowhere else. Each is made on first use, so an app costs nothing to build.

What takes long to import is imported where it is made: a DAG's task needs no provider, a worker no source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import requests

from carenotify import tracing
from carenotify.app.providers import ProviderTable
from carenotify.channels.base import Provider
from carenotify.config import Settings, load_settings, traces_exporter
from carenotify.domain.alert_mail import AlertSender
from carenotify.domain.clock import Clock, system_clock
from carenotify.domain.notification import Channel
from carenotify.domain.recipient_limit import URGENT_KINDS, RecipientLimit
from carenotify.domain.token_bucket import Rate
from carenotify.domain.wording import Hospital
from carenotify.journeys.accept_event import EventAcceptor
from carenotify.journeys.accept_fhir_appointment import FhirAppointmentAcceptor
from carenotify.journeys.announce_change import ChangeAnnouncer
from carenotify.journeys.choose_provider import ProviderChooser
from carenotify.journeys.complete_contacts import ContactCompleter
from carenotify.journeys.deliver_batch import Deliverer
from carenotify.journeys.drain_dead_letters import DeadLetterDrain
from carenotify.journeys.fall_back import FallbackSweeper
from carenotify.journeys.forget_answers import AnswerForgetter
from carenotify.journeys.heed_reply import ReplyHeeder
from carenotify.journeys.keep_watch import Watchdog
from carenotify.journeys.look_up_receipts import ReceiptLookUp
from carenotify.journeys.mail_alerts import AlertMailer
from carenotify.journeys.pace_sending import UNPACED, Pace, SharedPace
from carenotify.journeys.plan_reminders import ReminderPlanner
from carenotify.journeys.preview_notification import NotificationPreviewer
from carenotify.journeys.publish_at_once import PromptPublisher
from carenotify.journeys.publish_due import DuePublisher
from carenotify.journeys.read_figures import FigureReader
from carenotify.journeys.read_overview import OverviewReader
from carenotify.journeys.record_receipt import ReceiptRecorder
from carenotify.journeys.relay_due import Relay
from carenotify.journeys.report_coverage import CoverageReporter
from carenotify.journeys.report_month import MonthReporter
from carenotify.journeys.request_notification import NotificationRequester
from carenotify.journeys.seed_templates import seed_templates
from carenotify.journeys.send_due import DueSender
from carenotify.journeys.take_turns import Turns
from carenotify.journeys.watch_delivery import DeliveryWatch
from carenotify.messaging.consumer import Consumer, Delivery
from carenotify.messaging.dead_letters import FailedQueue
from carenotify.messaging.publisher import Publisher
from carenotify.sources.base import AppointmentSource
from carenotify.storage.database import Database
from carenotify.storage.sealed import Sealer

if TYPE_CHECKING:
    from carenotify.channels.email.sns_messages import SnsGate
    from carenotify.channels.sms.twilio_signature import TwilioSignature

# The recorder and the claimer of each of a worker's channels, the relay with its two pipelines, and the loops.
_CONNECTIONS = 16


class App:
    """The parts of one process, wired for its settings and its clock."""

    def __init__(self, settings: Settings, *, clock: Clock, application: str) -> None:
        self.settings = settings
        self.clock = clock
        self._application = application

    # --- storage and messaging ---------------------------------------------------------------

    @cached_property
    def sealer(self) -> Sealer:
        """Seals personal data."""
        keys = [key.get_secret_value() for key in self.settings.encryption_keys]
        return Sealer(encryption_keys=keys, index_key=self.settings.index_key.get_secret_value())

    @cached_property
    def database(self) -> Database:
        """The carenotify database."""
        return Database(
            self.settings.database_url.get_secret_value(),
            sealer=self.sealer,
            max_connections=_CONNECTIONS,
            application=self._application,
        )

    @cached_property
    def publisher(self) -> Publisher:
        """Publishes to the lanes' queues."""
        return Publisher(self.settings.broker_url.get_secret_value())

    def consumer(
        self, queues: Sequence[str], *, prefetch: int, deliver: Callable[[Delivery], None], priority: int = 0
    ) -> Consumer:
        """A consumer of some queues."""
        url = self.settings.broker_url.get_secret_value()
        return Consumer(url, queues, prefetch=prefetch, deliver=deliver, priority=priority)

    @cached_property
    def failed_queue(self) -> FailedQueue:
        """What the broker gave up."""
        return FailedQueue(self.settings.broker_url.get_secret_value())

    # --- data in -----------------------------------------------------------------------------

    @cached_property
    def source(self) -> AppointmentSource:
        """The patient API of CARENOTIFY_PATIENT_API_URL; the DAG opens its own, over Airflow's connection."""
        from carenotify.sources.fhir_r4 import open_fhir_r4

        return open_fhir_r4(self.settings, session=requests.Session())

    # --- providers ---------------------------------------------------------------------------

    @cached_property
    def _provider_table(self) -> ProviderTable:
        return ProviderTable(self.settings, self.clock)

    @property
    def provider_names(self) -> Mapping[Channel, tuple[str, ...]]:
        """The names of each channel's providers, the one to use first ahead; each named once."""
        return self._provider_table.names

    @cached_property
    def providers(self) -> Mapping[Channel, tuple[Provider, ...]]:
        """The providers of each channel in their order, all made when the channel is first asked for.

        A worker for one channel needs the settings of that channel only. Raises SettingsError.
        """
        return self._provider_table.made

    # --- journeys ----------------------------------------------------------------------------

    @cached_property
    def reminder_planner(self) -> ReminderPlanner:
        """Plans a day's reminders."""
        return ReminderPlanner(self.database, self.settings, self.clock)

    @cached_property
    def event_acceptor(self) -> EventAcceptor:
        """Takes in change events."""
        return EventAcceptor(self.database, ChangeAnnouncer(self.settings, self.sealer), self.clock)

    @cached_property
    def contact_completer(self) -> ContactCompleter:
        """Completes notifications whose patient nobody had copied."""
        return ContactCompleter(self.database, lambda: self.source, self.settings, self.clock)

    @cached_property
    def fhir_appointment_acceptor(self) -> FhirAppointmentAcceptor:
        """Takes in what FHIR hooks bring."""
        return FhirAppointmentAcceptor(self.event_acceptor)

    @cached_property
    def notification_requester(self) -> NotificationRequester:
        """Takes in notifications that other systems ask for."""
        return NotificationRequester(self.database, self.settings, self.clock)

    @cached_property
    def notification_previewer(self) -> NotificationPreviewer:
        """Shows what would be sent."""
        return NotificationPreviewer(self.database, self.notification_requester, self._hospital)

    @cached_property
    def due_publisher(self) -> DuePublisher:
        """Publishes what is due."""
        return DuePublisher(
            self.database,
            self.publisher,
            self.clock,
            batch=self.settings.publish_batch,
            lease_for=timedelta(seconds=self.settings.publish_lease_seconds),
        )

    @cached_property
    def prompt_publisher(self) -> PromptPublisher:
        """Publishes what somebody has just asked for."""
        return PromptPublisher(self.due_publisher.publish_due)

    @cached_property
    def provider_chooser(self) -> ProviderChooser:
        """Chooses a provider for each notification."""
        return ProviderChooser(database=self.database, providers=self.providers, clock=self.clock)

    def pace(self, channel: Channel) -> Pace:
        """How fast messages of a channel may go out."""
        limits = {one.name: self.settings.messages_per_second(one.name) for one in self.providers[channel]}
        if not any(limits.values()):
            return UNPACED
        return SharedPace(
            self.database,
            {name: Rate(limit) if limit else None for name, limit in limits.items()},
            provider=lambda: self.provider_chooser.mostly_used(channel),
            clock=self.clock,
        )

    @property
    def recipient_limit(self) -> RecipientLimit:
        """How many messages one person gets."""
        spared = URGENT_KINDS if self.settings.recipient_limit_spares_urgent else ()
        return RecipientLimit(self.settings.recipient_messages_per_hour or None, spared)

    @property
    def _hospital(self) -> Hospital:
        return Hospital(self.settings.hospital_name, self.settings.hospital_phone, self.settings.timezone)

    @cached_property
    def deliverer(self) -> Deliverer:
        """Delivers what was queued."""
        return Deliverer(
            database=self.database,
            chooser=self.provider_chooser,
            hospital=self._hospital,
            clock=self.clock,
            claim_for=timedelta(seconds=self.settings.claim_seconds),
            recipient_limit=self.recipient_limit,
        )

    @cached_property
    def due_sender(self) -> DueSender:
        """Delivers what is due, without the broker."""
        return DueSender(
            self.database,
            self.deliverer,
            self.provider_chooser,
            self.relay,
            self.fallback_sweeper,
            self.clock,
            threads=self.settings.send_threads,
        )

    @cached_property
    def relay(self) -> Relay:
        """Sweeps up what is due, abandoned or over."""
        return Relay(
            self.database,
            self.due_publisher,
            self.receipt_recorder,
            broker_url=self.settings.broker_url.get_secret_value(),
            clock=self.clock,
            lost_after=timedelta(seconds=self.settings.requeue_after_seconds),
        )

    @cached_property
    def dead_letter_drain(self) -> DeadLetterDrain:
        """Keeps what the broker gave up."""
        return DeadLetterDrain(self.database, self.failed_queue, self.clock)

    # --- what comes back ---------------------------------------------------------------------

    @cached_property
    def receipt_recorder(self) -> ReceiptRecorder:
        """Records what providers say of messages."""
        return ReceiptRecorder(self.database, self.clock, forget_after=timedelta(days=self.settings.receipt_days))

    @cached_property
    def receipt_look_up(self) -> ReceiptLookUp:
        """Asks for the receipts that did not come."""
        return ReceiptLookUp(
            self.database,
            self.providers,
            self.receipt_recorder,
            self.clock,
            after=self._look_up_after,
            give_up_after=timedelta(days=self.settings.receipt_days),
        )

    @cached_property
    def answer_forgetter(self) -> AnswerForgetter:
        """Lets go of receipts and replies that are old."""
        return AnswerForgetter(self.database, self.clock, keep_for=timedelta(days=self.settings.receipt_keep_days))

    @property
    def _look_up_after(self) -> timedelta:
        """A provider is asked before its silence leads to a fallback."""
        asked = timedelta(seconds=self.settings.look_up_after_seconds)
        fallback = timedelta(minutes=self.settings.fallback_without_receipt_minutes)
        return min(asked, fallback) if fallback else asked

    @cached_property
    def reply_heeder(self) -> ReplyHeeder:
        """Heeds what people answer."""
        return ReplyHeeder(self.database, self.clock)

    @cached_property
    def twilio_signature(self) -> TwilioSignature:
        """Checks whether a call to us is Twilio's. Raises SettingsError without CARENOTIFY_TWILIO_AUTH_TOKEN."""
        from carenotify.channels.sms.twilio_signature import TwilioSignature

        return TwilioSignature(self.settings.required("twilio_auth_token").get_secret_value())

    @cached_property
    def sns_gate(self) -> SnsGate:
        """Checks whether a message is Amazon's, and of one of CARENOTIFY_SES_TOPIC_ARNS."""
        from carenotify.channels.email.sns_messages import SnsGate

        return SnsGate(self.settings.ses_topic_arns)

    @cached_property
    def fallback_sweeper(self) -> FallbackSweeper:
        """Follows up what did not reach its patient."""
        return FallbackSweeper(self.database, self.settings, self.provider_names, self.clock)

    # --- telling staff -----------------------------------------------------------------------

    @cached_property
    def delivery_watch(self) -> DeliveryWatch:
        """Looks for what staff have to know."""
        return DeliveryWatch(self.database, self.settings, self.clock)

    @cached_property
    def alert_mailer(self) -> AlertMailer:
        """Mails it."""
        return AlertMailer(self.database, self.settings, self.clock)

    @property
    def alert_sender(self) -> AlertSender:
        """Hands a mail for staff to our own e-mail providers."""
        return self._provider_table.alert_sender

    @property
    def no_alerts_because(self) -> str | None:
        """Why this process cannot mail staff; None when it can."""
        return self._provider_table.no_alerts_because

    @cached_property
    def figure_reader(self) -> FigureReader:
        """Reads how delivery stands, for monitoring."""
        return FigureReader(self.database, self.settings, self.clock)

    @cached_property
    def watchdog(self) -> Watchdog:
        """Notices from outside Airflow what Airflow does not do."""
        return Watchdog(
            self.database, self.settings, self.clock, self.delivery_watch, self.alert_mailer, self.alert_sender
        )

    # --- what people look at -----------------------------------------------------------------

    @cached_property
    def slow_reads(self) -> Turns:
        """One turn for each read that may take long, whatever it reads."""
        return Turns()

    @cached_property
    def overview_reader(self) -> OverviewReader:
        """Tells how a day goes."""
        return OverviewReader(self.database, self.settings, self.provider_names, self.clock, turns=self.slow_reads)

    @cached_property
    def month_reporter(self) -> MonthReporter:
        """Reports months."""
        return MonthReporter(self.database, self.settings, self.clock, turns=self.slow_reads)

    @cached_property
    def coverage_reporter(self) -> CoverageReporter:
        """Reports how many patients can be reached."""
        return CoverageReporter(self.database, self.settings, self.clock, turns=self.slow_reads)

    def seed_templates(self) -> int:
        """Store the wordings that come with carenotify; returns how many were new."""
        return seed_templates(database=self.database)

    def close(self) -> None:
        """Let go of every connection that was made."""
        made = self.__dict__
        for provider in chain.from_iterable(made.get("providers", {}).values()):
            provider.close()
        for part in ("publisher", "prompt_publisher", "failed_queue", "figure_reader", "database"):
            if part in made:
                made[part].close()
        tracing.flush()


def build_app(settings: Settings | None = None, *, clock: Clock = system_clock, application: str = "carenotify") -> App:
    """An app for the settings of the environment, or for given ones. Raises SettingsError.

    The process is traced from now on, as `application`, when OpenTelemetry's variables say so.
    """
    tracing.configure_tracing(application, exporter=traces_exporter())
    return App(settings or load_settings(), clock=clock, application=application)
