"""`python -m carenotify suppressions …`: an address that is good again is used again."""

from __future__ import annotations

import getpass
from functools import partial

import pytest

from carenotify.app import App
from carenotify.domain.receipt import SuppressionReason
from carenotify.storage import suppressions
from tests.integration.conftest import Run
from tests.integration.ward import MAIL, MOBILE, NOON, Hospital


@pytest.fixture
def run(run: Run) -> Run:
    return partial(run, "suppressions")


@pytest.fixture
def suppressed(app: App, hospital: Hospital) -> Hospital:
    """Anna's mobile has said STOP and is unknown to the carrier, and her mailbox bounced; somebody else's did too."""
    hospital.add_patient("anna")
    entries = [
        (MOBILE, SuppressionReason.OPTED_OUT),
        (MOBILE, SuppressionReason.REJECTED),
        (MAIL, SuppressionReason.BOUNCED),
        ("other@example.org", SuppressionReason.BOUNCED),
    ]
    with app.database.transaction() as transaction:
        suppressions.add(transaction, entries, sealer=app.sealer, now=NOON)
    return hospital


def reasons(hospital: Hospital) -> list[str]:
    return [row[0] for row in hospital.query("SELECT reason FROM suppressions ORDER BY reason")]


def test_what_stands_against_a_patient_is_shown_without_the_addresses(run: Run, suppressed: Hospital) -> None:
    shown = run("show", "--patient", "anna").output
    for wanted in ("phone", "email", "opted_out", "rejected", "bounced", "2026-11-24 09:30:00"):
        assert wanted in shown
    assert MOBILE not in shown
    assert MAIL not in shown


def test_what_providers_found_is_lifted_and_noted_and_a_stop_stays(run: Run, suppressed: Hospital) -> None:
    assert run("lift", "--patient", "anna").output == "Lifted: 1 bounced, 1 rejected.\n"
    assert reasons(suppressed) == ["bounced", "opted_out"], "the other's mailbox and the STOP"
    me = f"command:{getpass.getuser()}"
    assert suppressed.query("SELECT actor, action, subject FROM audit_log ORDER BY subject") == [
        (me, "suppression.lifted", "anna bounced"),
        (me, "suppression.lifted", "anna rejected"),
    ]
    assert run("lift", "--patient", "anna").exit_code == 1


def test_a_stop_is_lifted_when_somebody_names_it(run: Run, suppressed: Hospital) -> None:
    assert run("lift", "--patient", "anna", "--reason", "opted_out").output == "Lifted: 1 opted_out.\n"
    assert reasons(suppressed) == ["bounced", "bounced", "rejected"]


@pytest.mark.parametrize("verb", ["show", "lift"])
def test_a_patient_whom_nobody_knows_is_an_error(run: Run, suppressed: Hospital, verb: str) -> None:
    result = run(verb, "--patient", "nobody")
    assert result.exit_code == 1
    assert result.stderr == "carenotify suppressions: there is no patient nobody\n"
