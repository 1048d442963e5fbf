from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from amazon import bounce, complaint, event
from hypothesis import given
from hypothesis import strategies as st

from carenotify.channels.email.ses_receipts import meaning_of, read_event
from carenotify.domain.notification import Status
from carenotify.domain.receipt import NOTHING_NEW, Meaning, SuppressionReason

ID = uuid4()


def meaning(told: dict[str, Any]) -> Meaning:
    receipt = read_event(told)
    assert receipt is not None
    assert meaning_of(receipt.provider_status, receipt.code) == receipt.meaning
    return receipt.meaning


def test_a_hard_bounce_is_the_end_of_the_address() -> None:
    assert meaning(bounce(ID)) == Meaning(Status.BOUNCED, "bounced", SuppressionReason.BOUNCED)


@pytest.mark.parametrize("kind", ["Transient", "Undetermined"])
def test_a_soft_bounce_says_nothing_of_the_address(kind: str) -> None:
    assert meaning(bounce(ID, kind)) == Meaning(Status.FAILED, "carrier")


def test_a_complaint_is_an_opt_out() -> None:
    assert meaning(complaint(ID)) == Meaning(Status.UNSUBSCRIBED, "complaint", SuppressionReason.COMPLAINT)


def test_who_says_that_it_is_no_spam_does_not_complain() -> None:
    assert meaning(complaint(ID, feedback="not-spam")) == NOTHING_NEW


@pytest.mark.parametrize(
    ("kind", "status"),
    [("Send", Status.SENT), ("DeliveryDelay", Status.SENT), ("Delivery", Status.DELIVERED), ("Reject", Status.FAILED)],
)
def test_the_way_of_a_mail(kind: str, status: Status) -> None:
    assert meaning(event(kind, ID)).status is status


@pytest.mark.parametrize("kind", ["Open", "Click", "Subscription", "Something new"])
def test_what_moves_nothing(kind: str) -> None:
    assert meaning(event(kind, ID)) == NOTHING_NEW


def test_an_event_names_its_notification_message_code_and_address() -> None:
    receipt = read_event(bounce(ID, to="Anna <anna@example.org>"))
    assert receipt is not None
    assert (receipt.notification_id, receipt.provider_message_id) == (ID, f"id-{ID}")
    assert (receipt.provider_status, receipt.code, receipt.address) == ("Bounce/Permanent", "5.1.1", "anna@example.org")


def test_plain_feedback_has_no_tags_and_is_known_by_our_header() -> None:
    told = bounce(ID)
    del told["mail"]["tags"]
    told["notificationType"] = told.pop("eventType")
    told["mail"]["headers"] = [{"name": "X-Carenotify-Notification-Id", "value": str(ID)}]
    receipt = read_event(told)
    assert receipt is not None
    assert (receipt.notification_id, receipt.meaning.status) == (ID, Status.BOUNCED)


@pytest.mark.parametrize(
    "mail",
    [None, {}, {"messageId": "m"}, {"messageId": "m", "tags": {"notification_id": ["no uuid"]}}, {"tags": "x"}],
)
def test_a_mail_of_somebody_else_is_no_receipt(mail: Any) -> None:
    assert read_event({"eventType": "Delivery", "mail": mail}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON, JSON)
def test_an_event_of_any_shape_is_read_without_an_error(tags: Any, recipients: Any, kind: Any) -> None:
    told = event("Bounce", ID, bounce={"bouncedRecipients": recipients, "bounceType": kind})
    told["mail"]["headers"] = tags
    receipt = read_event(told)
    assert receipt is not None
    assert receipt.provider_status.startswith("Bounce")
    read_event({"eventType": kind, "mail": {"messageId": "m", "tags": tags}})
