"""What a provider is told of a message besides its text: until when it may come, and whether it is urgent."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from carenotify.app import App
from carenotify.channels.base import OutgoingMessage
from carenotify.domain.notification import Channel, Lane
from tests.integration.ward import Hospital

TODAY = date(2026, 11, 24)


def sent(app: App, hospital: Hospital, lane: Lane) -> OutgoingMessage:
    hospital.add_patient(mail=None)
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    rows = hospital.query("UPDATE notifications SET lane = %s WHERE status = 'pending' RETURNING id", lane)
    claims, _ = app.deliverer.claim([row[0] for row in rows])
    app.deliverer.record([app.deliverer.send(claim) for claim in claims])
    (message,) = app.providers[Channel.SMS][0].taken  # type: ignore[attr-defined]
    return message


def test_a_reminder_may_come_until_the_window_closes(app: App, hospital: Hospital) -> None:
    message = sent(app, hospital, Lane.LOW)

    assert message.expires_at == datetime(2026, 11, 24, 11, 0, tzinfo=UTC)  # 12:00 in Berlin


@pytest.mark.parametrize("lane", Lane)
def test_what_is_in_the_high_lane_is_urgent(app: App, hospital: Hospital, lane: Lane) -> None:
    assert sent(app, hospital, lane).urgent == (lane is Lane.HIGH)
