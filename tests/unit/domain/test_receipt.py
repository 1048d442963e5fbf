from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carenotify.domain.notification import Status, can_move
from carenotify.domain.receipt import NOTHING_NEW, SAID, Meaning, Receipt, Standing, furthest

ID = UUID("01998f00-0000-7000-8000-000000000001")


def receipt(said: Status | None, address: str | None = None) -> Receipt:
    return Receipt(ID, "twilio", "SM1", "word", None, Meaning(said), address)


def end_of(standing: Standing, batches: Sequence[Sequence[Receipt]]) -> Status:
    """Where receipts lead that come in these batches, each seen when the one before is written."""
    for batch in batches:
        moved = furthest(standing, batch)
        if moved is not None and moved.meaning.status is not None:
            standing = Standing(moved.meaning.status, standing.tried)
    return standing.status


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Receipt], list[list[Receipt]]]:
    """Receipts; and the same again in any order, repeated, in batches of any size."""
    said = draw(st.lists(st.sampled_from([*SAID, None]), min_size=1, max_size=6))
    receipts = [receipt(one) for one in said]
    repeated = draw(st.permutations(receipts + draw(st.lists(st.sampled_from(receipts), max_size=4))))
    cuts = sorted(draw(st.lists(st.integers(0, len(repeated)), max_size=3)))
    return receipts, [list(repeated[low:high]) for low, high in pairwise([0, *cuts, len(repeated)])]


@settings(max_examples=500)
@given(stories(), st.sampled_from(list(Status)), st.booleans())
def test_any_order_and_repetition_of_receipts_ends_the_same(
    story: tuple[list[Receipt], list[list[Receipt]]], start: Status, tried: bool
) -> None:
    receipts, batches = story
    standing = Standing(start, tried)
    assert end_of(standing, batches) == end_of(standing, [[one] for one in receipts])


@given(st.lists(st.sampled_from(list(SAID)), min_size=1), st.sampled_from(list(Status)))
def test_receipts_make_only_legal_moves(said: list[Status], start: Status) -> None:
    moved = furthest(Standing(start, tried=True), [receipt(one) for one in said])
    assert moved is None or (moved.meaning.status is not None and can_move(start, moved.meaning.status))


@given(st.lists(st.sampled_from(list(SAID))))
def test_what_nobody_tried_to_send_cannot_have_been_received(said: list[Status]) -> None:
    for waiting in (Status.PENDING, Status.QUEUED):
        assert furthest(Standing(waiting), [receipt(one) for one in said]) is None


@pytest.mark.parametrize("waiting", [Status.PENDING, Status.QUEUED])
def test_a_receipt_proves_that_a_cut_call_came_through(waiting: Status) -> None:
    moved = furthest(Standing(waiting, tried=True), [receipt(Status.SENT)])
    assert moved == receipt(Status.SENT)


@pytest.mark.parametrize("said", [Status.SENT, Status.FAILED, Status.DELIVERED])
def test_bounced_stays_bounced(said: Status) -> None:
    assert furthest(Standing(Status.BOUNCED), [receipt(said)]) is None


def test_what_was_given_up_may_have_come_through_after_all() -> None:
    assert furthest(Standing(Status.FAILED), [receipt(Status.SENT), receipt(Status.DELIVERED)]) == receipt(
        Status.DELIVERED
    )


def of_attempt(said: Status, provider_message_id: str) -> Receipt:
    return Receipt(ID, "twilio", provider_message_id, "word", None, Meaning(said))


@pytest.mark.parametrize("taken", [Status.SENT, Status.DELIVERED])
@pytest.mark.parametrize("said", [Status.FAILED, Status.BOUNCED])
def test_what_an_earlier_attempt_came_to_does_not_undo_a_later_one(taken: Status, said: Status) -> None:
    standing = Standing(taken, provider_message_id="SM2")
    assert furthest(standing, [of_attempt(said, "SM1")]) is None
    own = furthest(standing, [of_attempt(said, "SM1"), of_attempt(said, "SM2")])
    assert own == (of_attempt(said, "SM2") if can_move(taken, said) else None)


@pytest.mark.parametrize("said", [Status.DELIVERED, Status.UNSUBSCRIBED])
def test_any_attempt_may_have_reached_the_person(said: Status) -> None:
    standing = Standing(Status.SENT, provider_message_id="SM2")
    assert furthest(standing, [of_attempt(said, "SM1")]) == of_attempt(said, "SM1")


@pytest.mark.parametrize("said", SAID)
def test_what_ran_out_of_time_after_a_cut_call_is_moved_by_its_receipt(said: Status) -> None:
    assert furthest(Standing(Status.EXPIRED, tried=True), [receipt(said)]) == receipt(said)
    assert furthest(Standing(Status.EXPIRED), [receipt(said)]) is None


@pytest.mark.parametrize("stopped", [Status.SUPERSEDED, Status.CANCELLED, Status.SUPPRESSED])
def test_what_was_stopped_stays_as_it_is_told(stopped: Status) -> None:
    assert furthest(Standing(stopped, tried=True), [receipt(one) for one in SAID]) is None


def test_only_what_is_being_sent_makes_a_receipt_wait() -> None:
    assert [status for status in Status if Standing(status).under_way] == [Status.SENDING]
    assert furthest(Standing(Status.SENDING, tried=True), [receipt(one) for one in SAID]) is None


def test_progress_moves_nothing() -> None:
    assert furthest(Standing(Status.SENT), [Receipt(uuid4(), "ses", "m", "Open", None, NOTHING_NEW)]) is None


@pytest.mark.parametrize("status", sorted(set(Status) - set(SAID)))
def test_no_receipt_can_say_what_only_we_decide(status: Status) -> None:
    with pytest.raises(ValueError, match="does not say"):
        Meaning(status)


def test_a_receipt_shows_no_address() -> None:
    assert "+4915112345678" not in repr(receipt(Status.SENT, "+4915112345678"))
