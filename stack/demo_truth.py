"""The hospital's own word on who should be told, held against who got a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PatientDay = tuple[str, str]


@dataclass(frozen=True)
class Truth:
    """What the hospital knows of the days that were planned: patients and the ISO date of their appointments."""

    told: frozenset[PatientDay]
    with_two_addresses: frozenset[PatientDay]
    reachable: frozenset[PatientDay]
    not_told: frozenset[PatientDay]

    @classmethod
    def from_answers(cls, answers: Iterable[Mapping[str, Any]]) -> Truth:
        """From the answers of `GET /hospital/expected`, one for each day."""
        days = list(answers)
        return cls(
            told=frozenset((patient, day["day"]) for day in days for patient in day["told"]),
            with_two_addresses=frozenset(
                (patient, day["day"]) for day in days for patient in day["with_two_addresses"]
            ),
            reachable=frozenset((patient, day["day"]) for day in days for patient in day["reachable"]),
            not_told=frozenset((patient, day["day"]) for day in days for patient in day["skipped"]),
        )


# Of a number that is out of use, whoever shares it is not even tried once that is known: suppressed.
_REFUSED = {"failed", "bounced", "unsubscribed", "suppressed"}


def compare(truth: Truth, *, report: Mapping[str, Any], received: set[str], before: set[str]) -> dict[str, int]:
    """Patient-days that should be told, of those the ones without a message, and messages that should not have come.

    `received` are the notification ids that receivers have. Who was refused by a receiver (a number that is out of use)
    is not without a message. A notification of an earlier demo (`before`) may tell of what was changed since: it counts
    for its patient on whatever day, and never as a wrong one.
    """
    told_by = {id_: (told["patient_id"], told["appointment_day"]) for id_, told in report["notification_ids"].items()}
    got = {told_by[id_] for id_ in told_by.keys() & received}
    got_now = {told_by[id_] for id_ in (told_by.keys() & received) - before}
    refused = {told_by[id_] for id_, told in report["notification_ids"].items() if told["status"] in _REFUSED} - got
    told_earlier = {told_by[id_][0] for id_ in told_by.keys() & received & before}
    without = {(patient, day) for patient, day in truth.told - got - refused if patient not in told_earlier}
    return {
        "expected_patient_days": len(truth.told),
        "expected_but_refused": len(truth.told & refused),
        "expected_without_message": len(without),
        "told_against_expectation": len(truth.not_told & got_now),
    }


def reached(truth: Truth, *, report: Mapping[str, Any], arrived: set[str], before: set[str]) -> dict[str, int]:
    """Patient-days that should be told, of those the ones with a message that arrived at a person.

    Reachable are those with an address that takes messages: each of them has to be reached. `arrived` are the ids of
    what people have, by the receivers' own word. Whom an earlier demo (`before`) told of a day that it moved afterwards
    need not be told again.
    """
    got = {
        (told["patient_id"], told["appointment_day"])
        for id_, told in report["notification_ids"].items()
        if id_ in arrived
    }
    told_earlier = {report["notification_ids"][id_]["patient_id"] for id_ in before & arrived}
    reachable = truth.reachable - {(patient, day) for patient, day in truth.reachable - got if patient in told_earlier}
    return {
        "expected_reached": len(truth.told & got),
        "expected_reachable": len(reachable),
        "expected_reachable_reached": len(reachable & got),
        "expected_with_two_addresses": len(truth.with_two_addresses),
        "expected_with_two_addresses_reached": len(truth.with_two_addresses & got),
    }
