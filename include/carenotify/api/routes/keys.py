"""API keys, for administrators."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Self

from flask import Blueprint, Response
from pydantic import BaseModel, Field

from carenotify.api.endpoint import endpoint
from carenotify.api.fields import Name, RequestModel
from carenotify.api.guard import caller
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.journeys.issue_key import issue_key
from carenotify.journeys.revoke_key import revoke_key
from carenotify.storage import api_keys
from carenotify.storage.api_keys import ApiKey

keys = Blueprint("keys", __name__)


class NewKey(RequestModel):
    """Which system the key is for, and what it may do."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1)]


class Key(BaseModel):
    """What is known of a key; `last_used_at` to about ten minutes."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """The key as it is shown."""
        return cls(
            id=key.id,
            name=key.name,
            scopes=sorted(key.scopes),
            created_at=key.created_at,
            created_by=key.created_by,
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
        )


class IssuedKey(BaseModel):
    """A new key. It is told this once."""

    id: str
    name: str
    scopes: list[Scope]
    key: str


class Keys(BaseModel):
    """Every key there ever was, oldest first."""

    keys: list[Key]


@keys.get("/keys")
@endpoint(Scope.KEYS_ADMIN, tag="keys", answers={HTTPStatus.OK: Keys})
def list_keys() -> Keys:
    """List the keys, without the keys themselves."""
    with wiring().app.database.transaction() as transaction:
        known = api_keys.listing(transaction)
    return Keys(keys=[Key.of(key) for key in known])


@keys.post("/keys")
@endpoint(Scope.KEYS_ADMIN, tag="keys", answers={HTTPStatus.CREATED: IssuedKey})
def create_key(json: NewKey) -> tuple[IssuedKey, int]:
    """Make a key. The answer is the only place where it ever stands."""
    app = wiring().app
    key, text = issue_key(app.database, name=json.name, scopes=json.scopes, by=caller().actor, now=app.clock())
    return IssuedKey(id=key.id, name=key.name, scopes=sorted(key.scopes), key=text), HTTPStatus.CREATED


@keys.delete("/keys/<id>")
@endpoint(Scope.KEYS_ADMIN, tag="keys", answers={HTTPStatus.NO_CONTENT: None})
def delete_key(id: str) -> Response:  # noqa: A002 - its name in the URL
    """Revoke a key: nobody gets in with it any more, within five seconds. It stays in the list."""
    app = wiring().app
    revoke_key(app.database, id, by=caller().actor, now=app.clock())
    return Response(status=HTTPStatus.NO_CONTENT)
