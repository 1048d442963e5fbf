"""Every hard case that a hospital's data holds, with its share of the reminder day's rows.

A case writes one patient or family with what they have. Dirty rows are apart, in dirty_rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import time, timedelta

from carenotify.sandbox.ward import Ward, Wish


@dataclass(frozen=True, slots=True)
class Case:
    """`share` is how many such cases there are for each row of the reminder day; there is always one at least."""

    name: str
    share: float
    write: Callable[[Ward], None]


def _same_day_double(ward: Ward) -> None:
    """Two appointments, or now and then three."""
    patient = _reachable(ward)
    for at in (time(9, 10), time(14, 30), time(16, 20))[: ward.rng.choice((2,) * 9 + (3,))]:
        ward.book(patient, at=at)


def _double_with_one_cancelled(ward: Ward) -> None:
    patient = _reachable(ward)
    ward.book(patient)
    ward.book(patient, status="cancelled")


def _family_on_one_phone(ward: Ward) -> None:
    phone = ward.registry.mobile()
    for _ in range(ward.rng.choice((2, 2, 3))):
        ward.book(ward.admit(phone))


def _no_contact(ward: Ward) -> None:
    ward.book(ward.admit(reason="no_contact"))


def _landline_only(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.landline(), reason="no_usable_address"))


def _landline_and_email(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.landline(rank=1), ward.registry.email()))


def _opted_out_of_all(ward: Ward) -> None:
    patient = ward.admit(ward.registry.mobile(), ward.registry.email(), reason="opted_out")
    ward.wishes[patient] = Wish(opted_out_kinds=("*",))
    ward.book(patient)


def _opted_out_of_every_channel(ward: Ward) -> None:
    patient = ward.admit(ward.registry.mobile(), ward.registry.email(), reason="opted_out")
    ward.wishes[patient] = Wish(opted_out_channels=("sms", "email"))
    ward.book(patient)


def _opted_out_of_reminders(ward: Ward) -> None:
    patient = ward.admit(ward.registry.mobile(), reason="opted_out")
    ward.wishes[patient] = Wish(opted_out_kinds=("reminder",))
    ward.book(patient)


def _opted_out_of_sms(ward: Ward) -> None:
    patient = _reachable(ward)
    ward.wishes[patient] = Wish(opted_out_channels=("sms",))
    ward.book(patient)


def _deceased_boolean(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.mobile(), reason="deceased", deceasedBoolean=True))


def _deceased_date(ward: Ward) -> None:
    died = (ward.updated + timedelta(days=2)).isoformat()
    ward.book(ward.admit(ward.registry.mobile(), reason="deceased", deceasedDateTime=died))


def _not_deceased(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.mobile(), deceasedBoolean=False))


def _of_status(status: str) -> Callable[[Ward], None]:
    def write(ward: Ward) -> None:
        ward.book(_reachable(ward), status=status)

    return write


def _waitlist_without_start(ward: Ward) -> None:
    """FHIR's app-3 allows it: who waits has no time yet."""
    resource = ward.book(_reachable(ward), status="waitlist").resource
    del resource["start"], resource["end"]


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


def _work_ranked_first(ward: Ward) -> None:
    """As in FHIR's own example of a patient: the work number has rank 1, the mobile 2."""
    ward.book(ward.admit(ward.registry.mobile(use="work", rank=1), ward.registry.mobile(rank=2)))


def _landline_ranked_first(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.landline(use="work", rank=1), ward.registry.mobile(rank=2)))


def _merged(ward: Ward) -> None:
    ward.book(_merged_record(ward)[0])


def _merged_and_survivor_on_one_day(ward: Ward) -> None:
    """One person under two ids: one message."""
    for patient in _merged_record(ward):
        ward.book(patient)


def _merged_record(ward: Ward) -> tuple[str, str]:
    survivor = _reachable(ward)
    link = [{"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}]
    merged = ward.admit(ward.registry.mobile(use="old"), active=False, link=link)
    ward.patients[survivor]["link"] = [{"other": {"reference": f"Patient/{merged}"}, "type": "replaces"}]
    ward.survivors[merged] = survivor
    return merged, survivor


def _wants(*channels: str, language: str = "") -> Callable[[Ward], None]:
    def write(ward: Ward) -> None:
        patient = _reachable(ward)
        ward.wishes[patient] = Wish(channels=channels, language=language)
        ward.book(patient)

    return write


def _wants_sms_has_email(ward: Ward) -> None:
    patient = ward.admit(ward.registry.email())
    ward.wishes[patient] = Wish(channels=("sms",))
    ward.book(patient)


def _email_only(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.email()))


def _sms_only(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.mobile()))


def _foreign_mobile(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.foreign_mobile()))


def _phone_filed_as_sms(ward: Ward) -> None:
    """ContactPoint.system has `sms` as well as `phone`."""
    ward.book(ward.admit(ward.registry.mobile(system="sms")))


def _speaks_another_language(ward: Ward) -> None:
    """One that there may be no wording in."""
    patient = _reachable(ward)
    spoken = {"coding": [{"system": "urn:ietf:bcp:47", "code": ward.rng.choice(("fr", "tr-TR", "uk"))}]}
    ward.patients[patient]["communication"] = [{"language": spoken, "preferred": True}]
    ward.book(patient)


def _around_midnight(ward: Ward) -> None:
    """Local day and UTC day differ for at least one of them, east and west of Greenwich."""
    ward.book(_reachable(ward), at=time(0, 15))
    ward.book(_reachable(ward), at=time(23, 45))


def _while_the_clocks_change(ward: Ward) -> None:
    """02:30 does not exist on one Sunday a year and comes twice on another."""
    ward.book(_reachable(ward), at=time(2, 30))


def _reachable(ward: Ward) -> str:
    return ward.admit(ward.registry.mobile(), ward.registry.email())


CASES = (
    Case("no_contact", 0.010, _no_contact),
    Case("landline_only", 0.008, _landline_only),
    Case("opted_out_of_all", 0.005, _opted_out_of_all),
    Case("opted_out_of_every_channel", 0.002, _opted_out_of_every_channel),
    Case("opted_out_of_reminders", 0.002, _opted_out_of_reminders),
    Case("opted_out_of_sms", 0.006, _opted_out_of_sms),
    Case("deceased_boolean", 0.002, _deceased_boolean),
    Case("deceased_date", 0.002, _deceased_date),
    Case("not_deceased", 0.002, _not_deceased),
    Case("cancelled", 0.030, _of_status("cancelled")),
    Case("noshow", 0.002, _of_status("noshow")),
    Case("entered_in_error", 0.003, _of_status("entered-in-error")),
    Case("proposed", 0.004, _of_status("proposed")),
    Case("pending", 0.003, _of_status("pending")),
    Case("waitlist", 0.002, _of_status("waitlist")),
    Case("waitlist_without_start", 0.001, _waitlist_without_start),
    Case("old_phone_only", 0.003, _old_phone_only),
    Case("old_and_new_phone", 0.010, _old_and_new_phone),
    Case("expired_email_only", 0.002, _expired_email_only),
    Case("expired_and_current_email", 0.005, _expired_and_current_email),
    Case("work_ranked_first", 0.010, _work_ranked_first),
    Case("landline_ranked_first", 0.010, _landline_ranked_first),
    Case("landline_and_email", 0.010, _landline_and_email),
    Case("merged", 0.003, _merged),
    Case("merged_and_survivor_on_one_day", 0.001, _merged_and_survivor_on_one_day),
    Case("email_only", 0.120, _email_only),
    Case("sms_only", 0.200, _sms_only),
    Case("foreign_mobile", 0.010, _foreign_mobile),
    Case("phone_filed_as_sms", 0.005, _phone_filed_as_sms),
    Case("wants_email", 0.030, _wants("email")),
    Case("wants_sms", 0.030, _wants("sms")),
    Case("wants_both_in_english", 0.010, _wants("email", "sms", language="en")),
    Case("wants_sms_has_email", 0.005, _wants_sms_has_email),
    Case("speaks_another_language", 0.010, _speaks_another_language),
    Case("around_midnight", 0.002, _around_midnight),
    Case("while_the_clocks_change", 0.001, _while_the_clocks_change),
    Case("double_with_one_cancelled", 0.004, _double_with_one_cancelled),
    Case("family_on_one_phone", 0.010, _family_on_one_phone),
    Case("same_day_double", 0.055, _same_day_double),
)
