"""Whatever comes back from the broker can be read: no headers and no body raise anything."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify.domain.notification import Channel, Lane
from carenotify.errors import EnvelopeError
from carenotify.messaging.dead_letters import KEPT_BYTES, read_returned
from carenotify.messaging.envelope import Envelope, decode_notification_id

CAUSES = {"rejected", "expired", "maxlen", "delivery_limit"}
fields = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
deaths = st.fixed_dictionaries({}, optional={"queue": fields, "reason": fields | st.sampled_from(sorted(CAUSES))})
headers = fields | st.dictionaries(st.just("x-death"), fields | st.lists(deaths | fields, max_size=2))
bodies = st.binary() | st.recursive(
    st.none() | st.integers(-5, 5) | st.text() | st.uuids().map(str),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["schema", "notification_id", "x"]), inner),
).map(orjson.dumps)


@given(headers=headers, body=bodies)
def test_anything_can_be_read_and_stored(headers: Any, body: bytes) -> None:
    read = read_returned(headers, body)
    assert (read.size, read.beginning) == (len(body), body)
    assert read.cause is None or read.cause in CAUSES
    assert read.queue is None or (read.queue.isprintable() and 0 < len(read.queue.encode()) < 1024)
    assert body.decode("latin-1") not in repr(read) or len(body) < 4


@given(body=bodies)
def test_only_what_a_worker_would_take_has_a_notification(body: bytes) -> None:
    try:
        expected = decode_notification_id(body)
    except EnvelopeError:
        expected = None
    assert read_returned(None, body).notification_id == expected


def test_queue_and_cause_are_those_of_the_last_death() -> None:
    made = datetime(2026, 11, 24, tzinfo=UTC)
    envelope = Envelope(uuid4(), "reminder", Channel.SMS, Lane.LOW, 1, made)
    last, first = {"queue": "sms.low", "reason": "expired"}, {"queue": "email.low", "reason": "rejected"}
    read = read_returned({"x-death": [last, first]}, envelope.encode())
    assert (read.notification_id, read.queue, read.cause) == (envelope.notification_id, "sms.low", "expired")


def test_of_megabytes_a_beginning_is_kept_and_all_of_them_tell_it_from_others() -> None:
    body = b"x" * 3_000_000
    read, other = read_returned(None, body), read_returned(None, body + b"y")
    assert (read.size, len(read.beginning), read.notification_id) == (3_000_000, KEPT_BYTES, None)
    assert read.fingerprint != other.fingerprint
    assert len(read.fingerprint) == hashlib.sha256().digest_size


@pytest.mark.parametrize("body", [b"{" * 5000, orjson.dumps({"schema": "Anna Schmidt"}), b"\xff"])
def test_why_it_is_no_envelope_is_told_without_what_it_says(body: bytes) -> None:
    with pytest.raises(EnvelopeError) as caught:
        decode_notification_id(body)
    assert "Anna" not in str(caught.value)
