from __future__ import annotations

from datetime import timedelta

import pytest
from desk import BASE, TOKENS, Desk
from flask.testing import FlaskClient

from carenotify.api.authentication import REMEMBER_SECONDS, Doorkeeper
from carenotify.app import App
from carenotify.domain.access import ALL_SCOPES, Scope
from carenotify.errors import KeyFormatError, NotFoundError
from carenotify.journeys.issue_key import ensure_key, issue_key
from carenotify.journeys.recognise_key import recognise_key
from carenotify.journeys.revoke_key import revoke_key
from carenotify.storage import api_keys
from carenotify.storage.api_keys import ApiKey
from tests.integration.ward import Hospital, SetClock


def issue(app: App, *scopes: Scope) -> tuple[ApiKey, str]:
    return issue_key(app.database, name="lab", scopes=scopes, by="tests", now=app.clock())


def ensure(app: App, text: str, *scopes: Scope) -> ApiKey:
    return ensure_key(app.database, text, name="demo", scopes=scopes or ALL_SCOPES, by="tests", now=app.clock())


def listed(app: App) -> list[ApiKey]:
    with app.database.transaction() as transaction:
        return api_keys.listing(transaction)


def test_a_key_says_its_id_and_is_stored_nowhere(app: App, hospital: Hospital) -> None:
    key, text = issue(app, Scope.EVENTS_WRITE)
    assert text.startswith(f"cn_{key.id}_")
    secret = text.removeprefix(f"cn_{key.id}_")
    assert len(secret) == 43  # 256 bits in base64url
    (row,) = hospital.query("SELECT api_keys::text, encode(key_hash, 'escape') FROM api_keys")
    assert all(secret not in column for column in row)


def test_a_key_does_what_its_scopes_say(desk: Desk) -> None:
    key = desk.key(Scope.PAUSE_WRITE)
    assert desk.call_with(key, "POST", "/pause", json={"channel": "sms"}).status_code == 200
    refused = desk.call_with(key, "GET", "/keys")
    assert refused.status_code == 403
    assert refused.get_json()["detail"] == "This needs the scope keys:admin."


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer cn_x_y",
        "Basic YTpi",
        "Bearer a.b.c",
        "bearer",
        "Token x",
        "Bearer ü",
        "Digest a=b",
    ],
)
def test_what_is_no_credential_is_refused(client: FlaskClient, authorization: str) -> None:
    answer = client.get(f"{BASE}/keys", headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_wrong_credential_is_not_helped_by_a_good_cookie(client: FlaskClient) -> None:
    client.set_cookie("_token", "admin.to.ken")
    assert client.get(f"{BASE}/keys").status_code == 200
    assert client.get(f"{BASE}/keys", headers={"Authorization": "Bearer cn_wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("role", "report", "pause", "keys"),
    [
        ("guest", 403, 403, 403),
        ("viewer", 200, 403, 403),
        ("user", 200, 403, 403),
        ("op", 200, 200, 403),
        ("admin", 200, 200, 200),
    ],
)
def test_airflow_roles_bring_their_scopes(desk: Desk, role: str, report: int, pause: int, keys: int) -> None:
    token = f"{role}.to.ken"
    assert token in TOKENS
    assert desk.call_with(token, "GET", "/reports/delivery").status_code == report
    assert desk.call_with(token, "POST", "/pause", json={"channel": "sms"}).status_code == pause
    assert desk.call_with(token, "GET", "/keys").status_code == keys


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Carenotify-Request": "1"}, 200),
        ({"X-Carenotify-Request": "1", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"X-Carenotify-Request": "1", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Carenotify-Request": "1", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
    ],
)
def test_a_cookie_changes_things_only_from_our_own_pages(
    client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    client.set_cookie("_token", "op.to.ken")
    assert client.post(f"{BASE}/pause", json={"channel": "sms"}, headers=headers).status_code == status


def test_a_revoked_key_gets_in_no_more_once_it_is_forgotten(app: App) -> None:
    key, text = issue(app, Scope.PAUSE_WRITE)
    now = [0.0]
    asked: list[str] = []

    def recognise(presented: str) -> ApiKey | None:
        asked.append(presented)
        return recognise_key(app.database, presented, now=app.clock())

    door = Doorkeeper(recognise, person=None, timer=lambda: now[0])

    def gets_in() -> bool:
        request = FlaskClientRequest(text)
        return door.identify(request) is not None  # type: ignore[arg-type]

    assert all(gets_in() for _ in range(100))
    assert len(asked) == 1
    assert revoke_key(app.database, key.id, by="tests", now=app.clock())
    now[0] += REMEMBER_SECONDS + 0.1
    assert not gets_in()
    assert len(asked) == 2


class FlaskClientRequest:
    """As much of a request as a doorkeeper looks at."""

    def __init__(self, token: str) -> None:
        from werkzeug.datastructures import Authorization

        self.authorization = Authorization("bearer", token=token)
        self.cookies: dict[str, str] = {}


def test_last_use_is_written_every_ten_minutes_at_most(app: App, clock: SetClock) -> None:
    _, text = issue(app, Scope.PAUSE_WRITE)
    seen = []
    for _ in range(4):
        recognise_key(app.database, text, now=clock())
        seen.append(listed(app)[0].last_used_at)
        clock.advance(minutes=6)
    start = seen[0]
    assert start is not None
    later = start + timedelta(minutes=12)
    assert seen == [start, start, later, later]


def test_revoking_says_when_there_is_nothing_to_revoke(app: App, clock: SetClock) -> None:
    key, _ = issue(app, Scope.PAUSE_WRITE)
    assert revoke_key(app.database, key.id, by="tests", now=clock())
    assert not revoke_key(app.database, key.id, by="tests", now=clock())
    with pytest.raises(NotFoundError):
        revoke_key(app.database, "nobody", by="tests", now=clock())


def test_who_made_and_revoked_a_key_is_in_the_audit_log(app: App, desk: Desk, hospital: Hospital) -> None:
    made = desk.call_with("admin.to.ken", "POST", "/keys", json={"name": "lab", "scopes": ["events:write"]})
    assert desk.call_with("admin.to.ken", "DELETE", f"/keys/{made.get_json()['id']}").status_code == 204
    rows = hospital.query("SELECT actor, action, subject FROM audit_log ORDER BY id")
    key_id = made.get_json()["id"]
    assert rows == [("person:admin", "key.created", key_id), ("person:admin", "key.revoked", key_id)]


OTHERS = "cn_" + "0123456789abcdef" * 3


def test_a_key_from_elsewhere_is_taken_over_once(app: App, desk: Desk) -> None:
    first = ensure(app, OTHERS)
    assert ensure(app, OTHERS) == first
    assert len(listed(app)) == 1
    assert desk.call_with(OTHERS, "GET", "/keys").status_code == 200


def test_ensuring_gives_a_known_key_the_scopes_of_now(app: App) -> None:
    ensure(app, OTHERS, Scope.EVENTS_WRITE)
    ensure(app, OTHERS)
    assert listed(app)[0].scopes == ALL_SCOPES


def test_ensuring_does_not_bring_a_revoked_key_back(app: App, desk: Desk, clock: SetClock) -> None:
    revoke_key(app.database, ensure(app, OTHERS).id, by="tests", now=clock())
    assert ensure(app, OTHERS).revoked_at is not None
    assert desk.call_with(OTHERS, "GET", "/keys").status_code == 401


@pytest.mark.parametrize("text", ["", "secret", "a.b." + "c" * 40, "x" * 31, "x" * 201, "ü" * 40, " " * 40])
def test_what_cannot_be_a_key_is_not_taken_over(app: App, text: str) -> None:
    with pytest.raises(KeyFormatError):
        ensure(app, text)


def test_two_keys_cannot_have_one_id(app: App) -> None:
    ensure(app, "cn_same_" + "a" * 40)
    with pytest.raises(KeyFormatError, match="id same"):
        ensure(app, "cn_same_" + "b" * 40)
