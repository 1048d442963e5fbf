"""Who wants something sent: the plan of a day, change events, other systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carenotify.journeys.accept_event import EventAcceptor
from carenotify.journeys.accept_fhir_appointment import FhirAppointmentAcceptor
from carenotify.journeys.announce_change import ChangeAnnouncer
from carenotify.journeys.complete_contacts import ContactCompleter
from carenotify.journeys.plan_reminders import ReminderPlanner
from carenotify.journeys.preview_notification import NotificationPreviewer
from carenotify.journeys.request_notification import NotificationRequester

if TYPE_CHECKING:
    from carenotify.app import App


def reminder_planner(app: App) -> ReminderPlanner:
    """Plans a day's reminders."""
    return ReminderPlanner(app.database, app.settings, app.clock)


def event_acceptor(app: App) -> EventAcceptor:
    """Takes in change events."""
    return EventAcceptor(app.database, ChangeAnnouncer(app.settings, app.sealer), app.clock)


def contact_completer(app: App) -> ContactCompleter:
    """Completes notifications whose patient nobody had copied."""
    return ContactCompleter(app.database, lambda: app.source, app.settings, app.clock)


def fhir_appointment_acceptor(app: App) -> FhirAppointmentAcceptor:
    """Takes in what FHIR hooks bring."""
    return FhirAppointmentAcceptor(app.event_acceptor)


def notification_requester(app: App) -> NotificationRequester:
    """Takes in notifications that other systems ask for."""
    return NotificationRequester(app.database, app.settings, app.clock)


def notification_previewer(app: App) -> NotificationPreviewer:
    """Shows what would be sent."""
    return NotificationPreviewer(app.database, app.notification_requester, app.hospital)
