"""What staff are told of by itself, and what they look at."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from carenotify.journeys.count_days import DayCounter
from carenotify.journeys.keep_watch import Watchdog
from carenotify.journeys.mail_alerts import AlertMailer
from carenotify.journeys.mail_report import ReportMailer
from carenotify.journeys.read_figures import FigureReader
from carenotify.journeys.read_overview import OverviewReader
from carenotify.journeys.report_coverage import CoverageReporter
from carenotify.journeys.report_evening import EveningReporter
from carenotify.journeys.report_month import MonthReporter
from carenotify.journeys.take_turns import Turns
from carenotify.journeys.watch_delivery import DeliveryWatch

if TYPE_CHECKING:
    from carenotify.app import App

log = logging.getLogger(__name__)


def delivery_watch(app: App) -> DeliveryWatch:
    """Looks for what staff have to know."""
    return DeliveryWatch(app.database, app.settings, app.clock)


def alert_mailer(app: App) -> AlertMailer:
    """Mails it."""
    return AlertMailer(app.database, app.settings, app.clock)


def watchdog(app: App) -> Watchdog:
    """Notices from outside Airflow what Airflow does not do."""
    return Watchdog(app.database, app.settings, app.clock, app.delivery_watch, app.alert_mailer, app.alert_sender)


def figure_reader(app: App) -> FigureReader:
    """Reads how delivery stands, for monitoring."""
    return FigureReader(app.database, app.settings, app.clock)


def slow_reads(_: App) -> Turns:
    """One turn for each read that may take long, whatever it reads."""
    return Turns()


def list_reads(_: App) -> Turns:
    """One turn for each list or story that somebody looks at: they are quick, and need not wait for what is slow."""
    return Turns()


def overview_reader(app: App) -> OverviewReader:
    """Tells how a day goes."""
    return OverviewReader(app.database, app.settings, app.provider_names, app.clock, turns=app.slow_reads)


def day_counter(app: App) -> DayCounter:
    """Counts days, and keeps those on which nothing changes any more."""
    return DayCounter(app.database, app.settings, app.clock)


def month_reporter(app: App) -> MonthReporter:
    """Reports months."""
    return MonthReporter(app.day_counter, app.settings, app.clock, turns=app.slow_reads)


def coverage_reporter(app: App) -> CoverageReporter:
    """Reports how many patients can be reached."""
    return CoverageReporter(app.database, app.settings, app.clock, turns=app.slow_reads)


def report_mailer(app: App) -> ReportMailer:
    """Mails how a day went; warns where that is to be before the day's send window is over."""
    at, window = app.settings.report_time, app.settings.send_window
    if at.hour * 60 + at.minute < window.closes_minute:
        log.warning(
            "CARENOTIFY_REPORT_TIME, %s, is before the end of CARENOTIFY_SEND_WINDOW, %s", f"{at:%H:%M}", window
        )
    reporter = EveningReporter(app.database, app.settings, app.clock, app.coverage_reporter)
    return ReportMailer(app.settings, reporter, app.report_sender)
