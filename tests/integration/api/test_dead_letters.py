"""Dead letters over HTTP: shown without anything personal, replayed and put away by those who may."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from desk import Desk

from carenotify.app import App
from carenotify.domain.access import Scope
from tests.integration.ward import MAIL, MOBILE, NOON, Hospital

READ, WRITE = {Scope.DEAD_LETTERS_READ}, {Scope.DEAD_LETTERS_WRITE}


@pytest.fixture
def letters(app: App, hospital: Hospital) -> list[int]:
    """Three SMS that failed, newest first."""
    for number in range(3):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(NOON.date())
    hospital.query("UPDATE notifications SET status = 'failed', reason = 'retries_spent' RETURNING 1")
    rows = hospital.query(
        "INSERT INTO dead_letters (notification_id, reason, code, attempts, created_at)"
        " SELECT id, 'retries_spent', '500', 6, %s FROM notifications ORDER BY id RETURNING id",
        NOON,
    )
    return sorted((row[0] for row in rows), reverse=True)


def listed(desk: Desk, query: str = "") -> list[int]:
    answer: dict[str, Any] = desk.call("GET", f"/dead-letters{query}", scopes=READ).get_json()
    return [letter["id"] for letter in answer["dead_letters"]]


def test_a_list_is_paged_and_names_nobody(desk: Desk, letters: list[int]) -> None:
    first = desk.call("GET", "/dead-letters?limit=2", scopes=READ)
    page = first.get_json()
    assert [letter["id"] for letter in page["dead_letters"]] == letters[:2]
    assert listed(desk, f"?limit=2&cursor={page['cursor']}") == letters[2:]
    shown = page["dead_letters"][0]
    assert (shown["reason"], shown["code"], shown["attempts"], shown["status"]) == ("retries_spent", "500", 6, "failed")
    assert (shown["refusal"], shown["channel"], shown["kind"]) == (None, "sms", "reminder")
    one = desk.call("GET", f"/dead-letters/{letters[0]}", scopes=READ)
    assert one.get_json() == shown
    for personal in ("Anna", MOBILE, MAIL, "Cardiology", "patient", "p0"):
        assert personal not in first.text + one.text


def test_conditions_narrow_the_list(desk: Desk, letters: list[int]) -> None:
    assert listed(desk, "?source=delivery&reason=retries_spent&channel=sms") == letters
    for nothing in ("?source=broker", "?reason=wording", "?channel=email", "?resolved=true"):
        assert listed(desk, nothing) == []
    for wrong in ("?reason=A;B", "?cursor=0", "?limit=0", "?patient_id=p0"):
        assert desk.call("GET", f"/dead-letters{wrong}").status_code == 422


def test_a_replay_makes_it_due_once_and_says_why_not_twice(desk: Desk, letters: list[int], hospital: Hospital) -> None:
    key = desk.key(Scope.DEAD_LETTERS_WRITE, name="operations")
    path = f"/dead-letters/{letters[0]}/replay"
    answer = desk.call_with(key, "POST", path)
    assert answer.status_code == 200
    assert (answer.get_json()["status"], answer.get_json()["resolution"]) == ("pending", "replayed")
    assert hospital.statuses() == Counter(pending=1, failed=2)
    again = desk.call_with(key, "POST", path)
    assert (again.status_code, again.get_json()["detail"]) == (
        409,
        "It was replayed or discarded before, or a late receipt has answered it.",
    )
    assert desk.call_with(key, "DELETE", f"/dead-letters/{letters[0]}").status_code == 409
    [(actor, subject)] = hospital.query(
        "SELECT actor, subject FROM audit_log WHERE action = 'dead_letter.replayed' ORDER BY id"
    )
    assert (actor, subject) == (f"key:{key.split('_')[1]}", str(letters[0]))


def test_what_must_not_be_sent_is_refused_with_the_reason(desk: Desk, letters: list[int], hospital: Hospital) -> None:
    hospital.add_appointment("a2", "p2", start=NOON + timedelta(days=3, hours=5))
    refused = desk.call("POST", f"/dead-letters/{letters[0]}/replay", scopes=WRITE)
    assert refused.status_code == 409
    assert refused.get_json()["detail"].startswith("Its appointment has changed since")
    assert desk.call("GET", f"/dead-letters/{letters[0]}").get_json()["refusal"] == "appointment_changed"
    assert hospital.statuses() == Counter(failed=3)


def test_one_that_is_put_away_sends_nothing_and_can_be_put_away_twice(
    desk: Desk, letters: list[int], hospital: Hospital
) -> None:
    for _ in range(2):
        assert desk.call("DELETE", f"/dead-letters/{letters[0]}", scopes=WRITE).status_code == 204
    assert listed(desk) == letters[1:]
    assert listed(desk, "?resolved=true") == letters[:1]
    assert hospital.statuses() == Counter(failed=3)
    assert desk.call("POST", f"/dead-letters/{letters[0]}/replay").status_code == 409


def test_one_that_a_late_receipt_has_answered_is_shown_as_such(
    desk: Desk, letters: list[int], hospital: Hospital
) -> None:
    hospital.query(
        "UPDATE dead_letters SET resolved_at = now(), resolution = 'delivered', resolved_by = 'receipt'"
        " WHERE id = %s RETURNING 1",
        letters[0],
    )
    (shown,) = desk.call("GET", "/dead-letters?resolved=true").get_json()["dead_letters"]
    assert (shown["resolution"], shown["resolved_by"], shown["refusal"]) == ("delivered", "receipt", "resolved")


@pytest.mark.parametrize("letter", ["0", "99999", "x", "-1", "1e3", "9" * 30, "٣"])
def test_what_is_not_there_is_not_found(desk: Desk, letters: list[int], letter: str) -> None:
    for method, path in (("GET", ""), ("POST", "/replay"), ("DELETE", "")):
        assert desk.call(method, f"/dead-letters/{letter}{path}").status_code == 404, (method, path)
