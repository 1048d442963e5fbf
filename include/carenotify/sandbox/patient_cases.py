"""Hard cases of people: what they asked for, who died, who stands in the files twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from carenotify.sandbox.case import Case, reachable
from carenotify.sandbox.ward import Ward, Wish


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
    patient = reachable(ward)
    ward.wishes[patient] = Wish(opted_out_channels=("sms",))
    ward.book(patient)


def _wants(*channels: str, language: str = "") -> Callable[[Ward], None]:
    def write(ward: Ward) -> None:
        patient = reachable(ward)
        ward.wishes[patient] = Wish(channels=channels, language=language)
        ward.book(patient)

    return write


def _wants_sms_has_email(ward: Ward) -> None:
    patient = ward.admit(ward.registry.email())
    ward.wishes[patient] = Wish(channels=("sms",))
    ward.book(patient)


def _speaks_another_language(ward: Ward) -> None:
    """One that there may be no wording in."""
    patient = reachable(ward)
    spoken = {"coding": [{"system": "urn:ietf:bcp:47", "code": ward.rng.choice(("fr", "tr-TR", "uk"))}]}
    ward.patients[patient]["communication"] = [{"language": spoken, "preferred": True}]
    ward.book(patient)


def _deceased_boolean(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.mobile(), reason="deceased", deceasedBoolean=True))


def _deceased_date(ward: Ward) -> None:
    died = (ward.updated + timedelta(days=2)).isoformat()
    ward.book(ward.admit(ward.registry.mobile(), reason="deceased", deceasedDateTime=died))


def _not_deceased(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.mobile(), deceasedBoolean=False))


def _merged(ward: Ward) -> None:
    ward.book(_merged_record(ward)[0])


def _merged_and_survivor_on_one_day(ward: Ward) -> None:
    """One person under two ids: one message."""
    for patient in _merged_record(ward):
        ward.book(patient)


def _merged_record(ward: Ward) -> tuple[str, str]:
    survivor = reachable(ward)
    link = [{"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}]
    merged = ward.admit(ward.registry.mobile(use="old"), active=False, link=link)
    ward.patients[survivor]["link"] = [{"other": {"reference": f"Patient/{merged}"}, "type": "replaces"}]
    ward.survivors[merged] = survivor
    return merged, survivor


PATIENT_CASES = (
    Case("opted_out_of_all", 0.005, _opted_out_of_all),
    Case("opted_out_of_every_channel", 0.002, _opted_out_of_every_channel),
    Case("opted_out_of_reminders", 0.002, _opted_out_of_reminders),
    Case("opted_out_of_sms", 0.006, _opted_out_of_sms),
    Case("wants_email", 0.030, _wants("email")),
    Case("wants_sms", 0.030, _wants("sms")),
    Case("wants_both_in_english", 0.010, _wants("email", "sms", language="en")),
    Case("wants_sms_has_email", 0.005, _wants_sms_has_email),
    Case("speaks_another_language", 0.010, _speaks_another_language),
    Case("deceased_boolean", 0.002, _deceased_boolean),
    Case("deceased_date", 0.002, _deceased_date),
    Case("not_deceased", 0.002, _not_deceased),
    Case("merged", 0.003, _merged),
    Case("merged_and_survivor_on_one_day", 0.001, _merged_and_survivor_on_one_day),
)
