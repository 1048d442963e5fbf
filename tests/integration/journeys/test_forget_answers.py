"""What was said long ago is let go; what followed from it stays."""

from __future__ import annotations

from uuid import UUID

import pytest

from carenotify.app import App
from carenotify.domain.reply import Reply, ReplyMeaning
from tests.integration.journeys.test_record_receipt import TODAY, said, send, suppressed
from tests.integration.ward import MOBILE, Hospital, SetClock


@pytest.fixture
def notification(app: App, hospital: Hospital) -> UUID:
    """A reminder that was delivered, whose patient answered STOP."""
    hospital.add_patient(mail=None)
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    [(identity,)] = hospital.query("SELECT id FROM notifications")
    assert isinstance(identity, UUID)
    send(app, identity)
    app.receipt_recorder.record([said(identity, "delivered")])
    app.reply_heeder.heed(Reply("SM1", "sms", MOBILE, "STOP", ReplyMeaning.STOP))
    return identity


def kept(hospital: Hospital) -> tuple[int, int]:
    [(receipts, replies)] = hospital.query(
        "SELECT (SELECT count(*) FROM receipts), (SELECT count(*) FROM inbound_messages)"
    )
    return receipts, replies


@pytest.mark.usefixtures("notification")
def test_receipts_and_replies_are_kept_as_long_as_the_setting_says(
    app: App, hospital: Hospital, clock: SetClock
) -> None:
    clock.advance(days=app.settings.receipt_keep_days)
    assert app.answer_forgetter.forget() == 0
    clock.advance(seconds=1)
    assert app.answer_forgetter.forget() == 2
    assert kept(hospital) == (0, 0)


@pytest.mark.usefixtures("notification")
def test_what_followed_from_them_stays(app: App, hospital: Hospital, clock: SetClock) -> None:
    clock.advance(days=app.settings.receipt_keep_days, seconds=1)
    app.answer_forgetter.forget()
    assert hospital.query("SELECT status FROM notifications") == [("delivered",)]
    assert suppressed(app, hospital) == {("mobile", "opted_out")}
