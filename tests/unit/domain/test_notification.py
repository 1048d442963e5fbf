from __future__ import annotations

import pytest

from carenotify.domain.notification import FINAL, TRANSITIONS, Status, can_move

# What sending can come to without a person stepping in.
UNFINISHED = {Status.PENDING, Status.QUEUED, Status.SENDING}


def _reachable(start: Status) -> set[Status]:
    found, waiting = {start}, [start]
    while waiting:
        following = TRANSITIONS[waiting.pop()] - found
        found |= following
        waiting.extend(following)
    return found


def test_every_status_has_its_line_in_the_table() -> None:
    assert set(TRANSITIONS) == set(Status)


def test_every_status_can_be_reached_from_a_new_row() -> None:
    assert _reachable(Status.PENDING) == set(Status)


def test_what_is_not_final_is_what_is_still_to_be_sent() -> None:
    assert set(Status) - FINAL == UNFINISHED


@pytest.mark.parametrize("status", sorted(UNFINISHED))
def test_every_status_that_is_not_final_has_a_way_out_to_a_final_one(status: Status) -> None:
    assert TRANSITIONS[status] & FINAL


@pytest.mark.parametrize("status", sorted(UNFINISHED))
def test_whatever_waits_can_still_be_sent_and_be_stopped(status: Status) -> None:
    assert Status.SENT in _reachable(status)
    assert can_move(status, Status.EXPIRED)
    assert can_move(status, Status.SUPERSEDED)


def test_no_status_follows_itself() -> None:
    assert not [status for status in Status if can_move(status, status)]


def test_what_a_patient_got_is_never_sent_again() -> None:
    for status in (Status.SENT, Status.DELIVERED, Status.BOUNCED, Status.UNSUBSCRIBED, Status.EXPIRED):
        assert not TRANSITIONS[status] & UNFINISHED


def test_what_was_delivered_never_becomes_less() -> None:
    assert TRANSITIONS[Status.DELIVERED] == {Status.BOUNCED, Status.UNSUBSCRIBED}


@pytest.mark.parametrize(
    "status",
    [
        Status.UNSUBSCRIBED,
        Status.SUPERSEDED,
        Status.CANCELLED,
        Status.SUPPRESSED,
    ],
)
def test_what_was_stopped_stays_stopped(status: Status) -> None:
    assert not TRANSITIONS[status]


def test_only_what_failed_can_be_replayed() -> None:
    assert [status for status in FINAL if can_move(status, Status.PENDING)] == [Status.FAILED]
