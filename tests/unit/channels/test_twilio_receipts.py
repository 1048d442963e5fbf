from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify.channels.sms.twilio_codes import OUTCOMES
from carenotify.channels.sms.twilio_receipts import meaning_of, receipt_of
from carenotify.channels.sms.twilio_signature import TwilioSignature
from carenotify.domain.notification import Status
from carenotify.domain.receipt import NOTHING_NEW, Meaning, SuppressionReason
from carenotify.sandbox.twilio_callbacks import signature

ID = uuid4()
URL = f"https://hospital.example/carenotify/v1/receipts/twilio?notification_id={ID}"
FORM = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+4915112345678", "From": "+4930123456"}


@pytest.mark.parametrize("word", ["accepted", "queued", "sending", "sent"])
def test_whatever_twilio_says_of_a_message_it_has_it(word: str) -> None:
    assert meaning_of(word, None) == Meaning(Status.SENT)


@pytest.mark.parametrize("word", ["delivered", "read"])
def test_what_reached_the_telephone_is_delivered(word: str) -> None:
    assert meaning_of(word, None) == Meaning(Status.DELIVERED)


@pytest.mark.parametrize("word", ["undelivered", "failed"])
@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (None, Meaning(Status.FAILED, "carrier")),
        ("30003", Meaning(Status.FAILED, "carrier")),  # out of reach, for now
        ("30007", Meaning(Status.FAILED, "message_rejected")),  # this text was filtered
        ("39999", Meaning(Status.FAILED, "carrier")),  # a code that is new to us
        ("30004", Meaning(Status.FAILED, "address_rejected")),
        ("30005", Meaning(Status.FAILED, "address_rejected", SuppressionReason.REJECTED)),
        ("21610", Meaning(Status.UNSUBSCRIBED, "opted_out", SuppressionReason.OPTED_OUT)),
    ],
)
def test_why_the_carrier_gave_up_is_told_by_the_code(word: str, code: str | None, meaning: Meaning) -> None:
    assert meaning_of(word, code) == meaning


@pytest.mark.parametrize("code", OUTCOMES)
def test_every_code_of_the_table_ends_a_message_that_failed(code: int) -> None:
    assert meaning_of("failed", str(code)).status in {Status.FAILED, Status.UNSUBSCRIBED}


@given(st.text(), st.none() | st.integers(0, 99999).map(str))
def test_words_that_are_new_to_us_move_nothing(word: str, code: str | None) -> None:
    assert meaning_of("new " + word, code) is NOTHING_NEW


@given(st.text(), st.text())
def test_whatever_is_posted_is_a_receipt_without_text_in_its_code(word: str, code: str) -> None:
    kept = receipt_of(ID, "SM1", word=word, code=code).code
    assert kept is None or (kept.isdigit() and int(kept) > 0)


def test_a_receipt_names_message_word_code_and_address() -> None:
    receipt = receipt_of(ID, "SM1", word="undelivered", code="30005", address="+4915112345678")
    assert (receipt.notification_id, receipt.provider, receipt.provider_message_id) == (ID, "twilio", "SM1")
    assert (receipt.provider_status, receipt.code, receipt.address) == ("undelivered", "30005", "+4915112345678")


def test_a_whatsapp_number_is_a_phone_number() -> None:
    receipt = receipt_of(ID, "SM1", word="read", code=None, address="whatsapp:+4915112345678")
    assert receipt.address == "+4915112345678"


def test_a_code_of_zero_is_none() -> None:
    assert receipt_of(ID, "SM1", word="delivered", code="0").code is None


def test_twilios_own_signature_fits() -> None:
    assert TwilioSignature("token").fits(URL, FORM, signature("token", URL, FORM))


@pytest.mark.parametrize(
    ("url", "form", "token"),
    [
        (URL + "0", FORM, "token"),
        (URL, FORM | {"MessageStatus": "failed"}, "token"),
        (URL, FORM | {"ErrorCode": "21610"}, "token"),
        (URL, FORM, "another"),
    ],
    ids=["another URL", "another status", "one more parameter", "another account's token"],
)
def test_a_signature_fits_nothing_else(url: str, form: dict[str, str], token: str) -> None:
    assert not TwilioSignature("token").fits(url, form, signature(token, URL, FORM))


@given(st.text())
def test_no_text_is_a_signature_by_luck(text: str) -> None:
    assert not TwilioSignature("token").fits(URL, FORM, text)
