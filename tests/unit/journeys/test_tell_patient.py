"""What a patient is told is the same on every channel, each in a wording and a row of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from carenotify.domain.kinds import MESSAGE, MessageData
from carenotify.domain.notification import Channel, Lane
from carenotify.domain.wording import TemplateVersion
from carenotify.errors import WordingError
from carenotify.journeys.choose_wording import Wordings
from carenotify.journeys.tell_patient import Telling

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
TELLING = Telling(
    kind=MESSAGE,
    identity="abc",
    patient_id="anna",
    data=MessageData(subject="Parking", text="The garage is closed."),
    due_at=NOW,
    expires_at=NOW + timedelta(hours=1),
    created_at=NOW,
    languages=("fr", "de"),
)


def version(number: int, channel: Channel, language: str) -> TemplateVersion:
    return TemplateVersion(number, "message", channel, language, 1, None, "{{ text }}", None)


WORDINGS = Wordings(
    [version(1, Channel.SMS, "en"), version(2, Channel.SMS, "de"), version(3, Channel.EMAIL, "en")], "en"
)


def test_each_channel_has_its_row_its_key_and_the_best_of_its_languages() -> None:
    sms, email = TELLING.on_each([Channel.SMS, Channel.EMAIL], WORDINGS)
    assert (sms.digest_key, email.digest_key) == ("message:abc:sms", "message:abc:email")
    assert (sms.template_version_id, email.template_version_id) == (2, 3)
    assert sms.data == email.data == {"subject": "Parking", "text": "The garage is closed."}
    assert sms.id < email.id


def test_the_kind_decides_the_lane_unless_the_caller_does() -> None:
    assert [row.lane for row in TELLING.on_each([Channel.SMS], WORDINGS)] == [Lane.MEDIUM]
    urgent = replace(TELLING, lane=Lane.HIGH)
    assert [row.lane for row in urgent.on_each([Channel.SMS], WORDINGS)] == [Lane.HIGH]


def test_a_channel_without_any_wording_is_refused() -> None:
    with pytest.raises(WordingError, match="email"):
        TELLING.on_each([Channel.EMAIL], Wordings(WORDINGS.versions[:2], "en"))
