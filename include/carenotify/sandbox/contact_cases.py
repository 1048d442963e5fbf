"""Hard cases of telephone numbers and mail addresses: none, the wrong ones, several, shared."""

from __future__ import annotations

from datetime import timedelta

from carenotify.sandbox.case import Case
from carenotify.sandbox.ward import Ward


def _no_contact(ward: Ward) -> None:
    ward.book(ward.admit(reason="no_contact"))


def _landline_only(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.landline(), reason="no_usable_address"))


def _landline_and_email(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.landline(rank=1), ward.registry.email()))


def _landline_ranked_first(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.landline(use="work", rank=1), ward.registry.mobile(rank=2)))


def _work_ranked_first(ward: Ward) -> None:
    """As in FHIR's own example of a patient: the work number has rank 1, the mobile 2."""
    ward.book(ward.admit(ward.registry.mobile(use="work", rank=1), ward.registry.mobile(rank=2)))


def _old_phone_only(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.mobile(use="old"), reason="no_usable_address"))


def _old_and_new_phone(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.mobile(use="old", rank=1), ward.registry.mobile(rank=2)))


def _expired_email_only(ward: Ward) -> None:
    ended = {"end": (ward.updated - timedelta(days=100)).date().isoformat()}
    ward.book(ward.admit(ward.registry.email(period=ended), reason="no_usable_address"))


def _expired_and_current_email(ward: Ward) -> None:
    ended = {"start": "2011-03-01", "end": (ward.updated - timedelta(days=400)).date().isoformat()}
    ward.book(ward.admit(ward.registry.email(period=ended, rank=1), ward.registry.email()))


def _email_only(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.email()))


def _sms_only(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.mobile()))


def _foreign_mobile(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.foreign_mobile()))


def _phone_filed_as_sms(ward: Ward) -> None:
    """ContactPoint.system has `sms` as well as `phone`."""
    ward.book(ward.admit(ward.registry.mobile(system="sms")))


def _family_on_one_phone(ward: Ward) -> None:
    phone = ward.registry.mobile()
    for _ in range(ward.rng.choice((2, 2, 3))):
        ward.book(ward.admit(phone))


CONTACT_CASES = (
    Case("no_contact", 0.010, _no_contact),
    Case("landline_only", 0.008, _landline_only),
    Case("landline_and_email", 0.010, _landline_and_email),
    Case("landline_ranked_first", 0.010, _landline_ranked_first),
    Case("work_ranked_first", 0.010, _work_ranked_first),
    Case("old_phone_only", 0.003, _old_phone_only),
    Case("old_and_new_phone", 0.010, _old_and_new_phone),
    Case("expired_email_only", 0.002, _expired_email_only),
    Case("expired_and_current_email", 0.005, _expired_and_current_email),
    Case("email_only", 0.120, _email_only),
    Case("sms_only", 0.200, _sms_only),
    Case("foreign_mobile", 0.010, _foreign_mobile),
    Case("phone_filed_as_sms", 0.005, _phone_filed_as_sms),
    Case("family_on_one_phone", 0.010, _family_on_one_phone),
)
