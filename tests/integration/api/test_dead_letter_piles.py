"""Dead letters by the pile, over HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest
from desk import Desk

from carenotify.app import App
from carenotify.domain.access import Scope
from tests.integration.ward import NOON, Hospital

READ, WRITE = {Scope.DEAD_LETTERS_READ}, {Scope.DEAD_LETTERS_WRITE}


@pytest.fixture
def letters(app: App, hospital: Hospital) -> list[int]:
    """Two that the carrier did not deliver and one that cannot be worded, in the order of their making."""
    for number in range(3):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(NOON.date())
    hospital.query("UPDATE notifications SET status = 'failed', reason = 'carrier' RETURNING 1")
    ids = []
    for number, reason in enumerate(("carrier", "wording", "carrier")):
        ids += hospital.query(
            "INSERT INTO dead_letters (notification_id, reason, attempts, created_at)"
            " SELECT id, %s, 1, %s FROM notifications ORDER BY id OFFSET %s LIMIT 1 RETURNING id",
            reason,
            NOON + timedelta(minutes=number),
            number,
        )
    return [row[0] for row in ids]


def test_open_ones_are_counted_by_reason(desk: Desk, letters: list[int], hospital: Hospital) -> None:
    assert desk.call("GET", "/dead-letters/reasons", scopes=READ).get_json() == {
        "reasons": [
            {"reason": "carrier", "open": 2, "oldest_at": "2026-11-24T08:30:00Z"},
            {"reason": "wording", "open": 1, "oldest_at": "2026-11-24T08:31:00Z"},
        ]
    }
    hospital.query("UPDATE dead_letters SET resolved_at = now(), resolution = 'fallback' RETURNING 1")
    assert desk.call("GET", "/dead-letters/reasons", scopes=READ).get_json() == {"reasons": []}


def test_many_are_put_away_at_once_and_only_once(desk: Desk, letters: list[int], hospital: Hospital) -> None:
    body = {"ids": letters[:2]}
    assert desk.call("POST", "/dead-letters/discard", scopes=WRITE, json=body).get_json() == {"discarded": 2}
    assert desk.call("POST", "/dead-letters/discard", scopes=WRITE, json=body).get_json() == {"discarded": 0}
    assert hospital.query("SELECT resolution FROM dead_letters ORDER BY id") == [
        ("discarded",),
        ("discarded",),
        (None,),
    ]
    assert hospital.query("SELECT count(*) FROM audit_log WHERE action = 'dead_letter.discarded'") == [(2,)]
    assert hospital.statuses() == {"failed": 3}


def test_all_stay_open_when_one_cannot_be_put_away(desk: Desk, letters: list[int], hospital: Hospital) -> None:
    assert desk.call("POST", f"/dead-letters/{letters[2]}/replay", scopes=WRITE).status_code == 200
    assert desk.call("POST", "/dead-letters/discard", scopes=WRITE, json={"ids": letters}).status_code == 409
    assert desk.call("POST", "/dead-letters/discard", scopes=WRITE, json={"ids": [letters[0], 999]}).status_code == 404
    for wrong in ({"ids": []}, {"ids": [0]}, {"ids": "all"}, {}):
        assert desk.call("POST", "/dead-letters/discard", scopes=WRITE, json=wrong).status_code == 422
    assert desk.call("POST", "/dead-letters/discard", scopes=READ, json={"ids": letters}).status_code == 403
    assert hospital.query("SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL") == [(2,)]


def test_those_of_some_ids_are_sent_again_and_what_must_not_be_is_counted(
    desk: Desk, letters: list[int], hospital: Hospital
) -> None:
    hospital.query("UPDATE notifications SET expires_at = %s WHERE patient_id = 'p1' RETURNING 1", NOON)
    told = desk.call("POST", "/dead-letters/replay", scopes=WRITE, json={"ids": letters}).get_json()
    assert told == {"replayed": 2, "window_over": 1}
    assert hospital.statuses() == {"pending": 2, "failed": 1}
    again = desk.call("POST", "/dead-letters/replay", scopes=WRITE, json={"ids": letters}).get_json()
    assert again == {"replayed": 0, "resolved": 2, "window_over": 1}


def test_those_of_a_reason_are_sent_again_oldest_first(desk: Desk, letters: list[int], hospital: Hospital) -> None:
    def replay(**wanted: object) -> object:
        return desk.call("POST", "/dead-letters/replay", scopes=WRITE, json=wanted).get_json()

    assert replay(reasons=["carrier"], channel="email", most=None) == {"replayed": 0}
    assert replay(reasons=["carrier"], channel="sms", most=1) == {"replayed": 1}
    assert hospital.query("SELECT id FROM dead_letters WHERE resolution = 'replayed'") == [(letters[0],)]
    assert replay(reasons=["carrier", "wording"], channel=None) == {"replayed": 2}
    assert hospital.query("SELECT count(*) FROM audit_log WHERE action = 'dead_letter.replayed'") == [(3,)]


def test_with_an_id_that_is_not_there_none_is_sent_again(desk: Desk, letters: list[int], hospital: Hospital) -> None:
    body = {"ids": [*letters, 4711]}
    assert desk.call("POST", "/dead-letters/replay", scopes=WRITE, json=body).status_code == 404
    assert hospital.statuses() == {"failed": 3}


def test_what_does_not_say_which_to_send_again_is_a_problem(desk: Desk) -> None:
    bodies: list[dict[str, object]] = [
        {},
        {"ids": []},
        {"reasons": []},
        {"ids": [1], "reasons": ["carrier"]},
        {"ids": [1], "most": 5},
        {"ids": [0]},
        {"ids": [2**63]},
        {"reasons": ["Carrier"]},
        {"reasons": ["carrier"], "most": 0},
        {"reasons": ["carrier"], "most": 10_001},
        {"channel": "sms"},
    ]
    for body in bodies:
        assert desk.call("POST", "/dead-letters/replay", scopes=WRITE, json=body).status_code == 422, body
