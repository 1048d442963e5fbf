"""`python -m carenotify keys …`, as a person and as `make up` use it."""

from __future__ import annotations

import pytest
from desk import Desk

from carenotify.storage import pauses
from tests.integration.conftest import Run
from tests.integration.ward import Hospital

KEY = "cn_0123456789abcdef0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARENOTIFY_API_KEY", KEY)


def test_a_made_key_is_all_that_stands_on_standard_output(run: Run, desk: Desk) -> None:
    made = run("keys", "create", "--name", "lab", "--scope", "pause:write", "--scope", "reports:read")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert desk.call_with(key, "POST", "/pause", json={"channel": "sms"}).status_code == 200
    assert desk.call_with(key, "GET", "/reports/delivery").status_code == 200
    assert desk.call_with(key, "GET", "/keys").status_code == 403


def test_a_key_has_to_be_for_something(run: Run) -> None:
    for words in ([], ["--all-scopes", "--scope", "pause:write"], ["--scope", "everything"]):
        refused = run("keys", "create", "--name", "lab", *words)
        assert refused.exit_code == 2
        assert "scope" in refused.stderr


def test_the_key_of_the_environment_is_registered_once(run: Run, desk: Desk) -> None:
    said = [run("keys", "ensure").output for _ in range(2)]
    assert said[0] == said[1]
    assert KEY not in said[0]
    assert len(desk.call_with(KEY, "GET", "/keys").get_json()["keys"]) == 1


def test_without_a_key_in_the_environment_there_is_one_clear_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, complaint in (("", "CARENOTIFY_API_KEY: is not set"), ("short", "CARENOTIFY_API_KEY: not a key")):
        monkeypatch.setenv("CARENOTIFY_API_KEY", value)
        refused = run("keys", "ensure")
        assert refused.exit_code == 1
        assert complaint in refused.stderr


def test_the_list_shows_keys_and_their_end_and_no_secret(run: Run, desk: Desk) -> None:
    key = run("keys", "create", "--name", "lab", "--all-scopes").stdout.strip()
    key_id = key.split("_")[1]
    assert "is revoked" in run("keys", "revoke", key_id).stdout
    assert "was revoked before" in run("keys", "revoke", key_id).stdout
    listed = run("keys", "list").stdout
    assert key_id in listed
    assert "everything" in listed
    assert key not in listed
    assert desk.call_with(key, "GET", "/keys").status_code == 401
    unknown = run("keys", "revoke", "nobody")
    assert (unknown.exit_code, unknown.stderr) == (1, "carenotify keys: there is no such API key\n")


def test_one_channel_is_paused_by_the_name_that_is_documented(run: Run, hospital: Hospital) -> None:
    assert run("pause", "--channel", "sms").exit_code == 0
    with hospital.database.transaction() as transaction:
        assert pauses.paused_channels(transaction) == {"sms"}
    assert run("resume", "--channel", "sms").exit_code == 0
    assert hospital.query("SELECT * FROM pauses") == []
