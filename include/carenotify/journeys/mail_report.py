"""Mail the day's report to staff, without anybody asking for it: also of a day on which nothing was due."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date
from uuid import NAMESPACE_URL, uuid5

from carenotify.config import Settings
from carenotify.domain.alert_mail import AlertMail, AlertSender, CsvFile, message_id_of
from carenotify.domain.spreadsheet import csv_text
from carenotify.errors import AlertNotSentError
from carenotify.journeys.report_delivery import FIGURE_COLUMNS
from carenotify.journeys.report_evening import EveningReport, EveningReporter
from carenotify.journeys.word_report import word_report

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReportMailer:
    """Hands a day's report to those who get it."""

    settings: Settings
    reporter: EveningReporter
    send: AlertSender

    def mail(self, day: date, *, asked_by: str | None = None) -> dict[str, int | str]:
        """Mail that local day's report; gives its main counts, how many receivers were refused, and `mailed`.

        That is "yes", or "perhaps" when the server's answer was lost: another try would mostly be a second copy. The
        mail of a day has the same Message-ID whenever it is sent, by which some mail programs show one of several; one
        that a person asks for has that of `asked_by`, which is to be the same at another try. Raises AlertNotSentError
        and StorageError; nobody has it then.
        """
        report = self.reporter.report(day)
        table = CsvFile(report.delivery.csv_name, csv_text(FIGURE_COLUMNS, report.delivery.figures()))
        mail = word_report(report, message_id=self._message_id(day, asked_by), settings=self.settings, files=[table])
        return _counts(report) | self._handed_over(mail)

    def _handed_over(self, mail: AlertMail) -> dict[str, int | str]:
        try:
            refused = len(self.send(mail))
        except AlertNotSentError as error:
            if not error.perhaps_taken:
                raise
            log.warning("%s: the report may have been taken all the same, and is not sent again", error)
            return {"receivers_refused": 0, "mailed": "perhaps"}
        return {"receivers_refused": refused, "mailed": "yes"}

    def _message_id(self, day: date, asked_by: str | None) -> str:
        which = f"{self.settings.public_url}:daily-report:{day.isoformat()}:{asked_by or ''}"
        return message_id_of(uuid5(NAMESPACE_URL, which), self.settings.email_from)


def _counts(report: EveningReport) -> dict[str, int | str]:
    delivery = report.delivery
    return {
        "patient_days_due": delivery.patient_days_due,
        "patient_days_reached": delivery.patient_days_reached,
        "patient_days_not_reached": report.not_reached,
        "untold": delivery.untold,
        "reminders": delivery.notifications,
        "other_messages": sum(each.made for each in report.other_messages),
        "dead_letters_open": report.dead_letters_open,
    }
