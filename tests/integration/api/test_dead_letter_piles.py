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
