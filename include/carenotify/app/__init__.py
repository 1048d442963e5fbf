"""Where the parts are put together, and nowhere else. Each is made on first use, so an app costs nothing to build.

What takes long to import is imported where it is made: a DAG's task needs no provider, a worker no source.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import chain

from carenotify import tracing
from carenotify.app import answers, connections, delivery, intake, staff
from carenotify.app.providers import ProviderTable
from carenotify.channels.base import Provider
from carenotify.config import Settings, load_settings, traces_exporter
from carenotify.domain.alert_mail import AlertSender
from carenotify.domain.clock import Clock, system_clock
from carenotify.domain.notification import Channel
from carenotify.domain.wording import Hospital
from carenotify.journeys.seed_templates import seed_templates


class App:
    """The parts of one process, wired for its settings and its clock.

    Each line below is a part. The function of its name, in the file that is named there, makes it when it is first
    asked for; a consumer and a pace are made anew each time.
    """

    def __init__(self, settings: Settings, *, clock: Clock, application: str) -> None:
        self.settings = settings
        self.clock = clock
        self.application = application

    sealer = cached_property(connections.sealer)
    database = cached_property(connections.database)
    publisher = cached_property(connections.publisher)
    consumer = connections.consumer
    failed_queue = cached_property(connections.failed_queue)
    source = cached_property(connections.source)

    reminder_planner = cached_property(intake.reminder_planner)
    event_acceptor = cached_property(intake.event_acceptor)
    fhir_appointment_acceptor = cached_property(intake.fhir_appointment_acceptor)
    contact_completer = cached_property(intake.contact_completer)
    notification_requester = cached_property(intake.notification_requester)
    notification_previewer = cached_property(intake.notification_previewer)

    due_publisher = cached_property(delivery.due_publisher)
    prompt_publisher = cached_property(delivery.prompt_publisher)
    provider_chooser = cached_property(delivery.provider_chooser)
    pace = delivery.pace
    deliverer = cached_property(delivery.deliverer)
    due_sender = cached_property(delivery.due_sender)
    relay = cached_property(delivery.relay)
    dead_letter_drain = cached_property(delivery.dead_letter_drain)
    fallback_sweeper = cached_property(delivery.fallback_sweeper)

    receipt_recorder = cached_property(answers.receipt_recorder)
    receipt_look_up = cached_property(answers.receipt_look_up)
    answer_forgetter = cached_property(answers.answer_forgetter)
    reply_heeder = cached_property(answers.reply_heeder)
    twilio_signature = cached_property(answers.twilio_signature)
    sns_gate = cached_property(answers.sns_gate)

    delivery_watch = cached_property(staff.delivery_watch)
    alert_mailer = cached_property(staff.alert_mailer)
    watchdog = cached_property(staff.watchdog)
    figure_reader = cached_property(staff.figure_reader)
    slow_reads = cached_property(staff.slow_reads)
    list_reads = cached_property(staff.list_reads)
    overview_reader = cached_property(staff.overview_reader)
    day_counter = cached_property(staff.day_counter)
    month_reporter = cached_property(staff.month_reporter)
    coverage_reporter = cached_property(staff.coverage_reporter)
    report_mailer = cached_property(staff.report_mailer)

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

    @property
    def alert_sender(self) -> AlertSender:
        """Hands a mail for staff to our own e-mail providers."""
        return self._provider_table.alert_sender

    @property
    def report_sender(self) -> AlertSender:
        """The same for the daily report."""
        return self._provider_table.report_sender

    @property
    def no_alerts_because(self) -> str | None:
        """Why this process cannot mail staff; None when it can."""
        return self._provider_table.no_alerts_because

    # --- what all of them share --------------------------------------------------------------

    @property
    def hospital(self) -> Hospital:
        """Who is writing, as messages say it."""
        return Hospital(self.settings.hospital_name, self.settings.hospital_phone, self.settings.timezone)

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
