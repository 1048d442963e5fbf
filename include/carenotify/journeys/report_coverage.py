"""How many of the patients with an appointment ahead could be told of it at all."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel

from carenotify.config import Settings
from carenotify.domain.clock import Clock
from carenotify.domain.notification import Channel
from carenotify.domain.patient import addresses
from carenotify.domain.window import local_day
from carenotify.journeys.share_answers import SharedAnswers
from carenotify.journeys.take_turns import Turns
from carenotify.storage.coverage import Ahead, patients_ahead
from carenotify.storage.database import Database

# Every record is decrypted for it, and it changes with the loads.
_GOOD_FOR_SECONDS = 600.0
_OLD_FOR_SECONDS = 86400.0


class CoverageReport(BaseModel):
    """Patients with a booked appointment ahead, and those of them who have an address that can be used today.

    `with_phone` counts numbers that take an SMS. An address on the suppression list cannot be used; opt-outs do not
    count here. `share` is `with_any` of all, null when there are none.
    """

    patients: int
    with_phone: int
    with_email: int
    with_any: int
    share: float | None


class CoverageReporter:
    """Reports the coverage as it is now, or was up to ten minutes ago.

    While the database does not answer, it is told as it was up to a day ago.
    """

    def __init__(self, database: Database, settings: Settings, clock: Clock, *, turns: Turns) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._reports = SharedAnswers(
            self._count,
            good_for_seconds=lambda _: _GOOD_FOR_SECONDS,
            old_for_seconds=_OLD_FOR_SECONDS,
            at_most=1,
            turns=turns,
        )

    def report(self) -> CoverageReport:
        """The report of today."""
        return self._reports.to(local_day(self._clock(), self._settings.timezone))

    def _count(self, today: date) -> CoverageReport:
        total = phone = email = either = 0
        with self._database.transaction() as transaction:
            for ahead in patients_ahead(transaction, now=self._clock(), sealer=self._database.sealer):
                has_phone, has_email = (_can_use(ahead, channel, today) for channel in (Channel.SMS, Channel.EMAIL))
                total += 1
                phone += has_phone
                email += has_email
                either += has_phone or has_email
        share = either / total if total else None
        return CoverageReport(patients=total, with_phone=phone, with_email=email, with_any=either, share=share)


def _can_use(ahead: Ahead, channel: Channel, today: date) -> bool:
    return ahead.patient is not None and bool(addresses(ahead.patient, channel, today, ahead.refused))
