"""Who calls: an API key, a person's Airflow token, or a browser that is logged in to Airflow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from cachetools import TTLCache
from flask import Request

from carenotify.domain.access import Person, Scope
from carenotify.journeys.issue_key import key_hash
from carenotify.storage.api_keys import ApiKey

# How long a key is believed without asking the database again, and so how long a revoked one may still get in.
REMEMBER_SECONDS = 5.0
_REMEMBER_KEYS = 1000
# Airflow's airflow.api_fastapi.auth.managers.base_auth_manager.COOKIE_NAME_JWT_TOKEN; set for its whole site, HttpOnly.
SESSION_COOKIE = "_token"

# RFC 7519: three parts with dots between them. Our own keys have none.
_DOTS_OF_A_JWT = 2

PersonOf = Callable[[str], Person | None]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, and what they may do. `actor` is how the audit trail names them."""

    actor: str
    scopes: frozenset[Scope]
    by_cookie: bool = False


class Doorkeeper:
    """Tells who a caller is.

    `recognise` looks a key up; `person` turns an Airflow token into a person, and is None where there is no Airflow.
    """

    def __init__(
        self,
        recognise: Callable[[str], ApiKey | None],
        *,
        person: PersonOf | None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recognise = recognise
        self._person = person
        self._known: TTLCache[bytes, ApiKey] = TTLCache(_REMEMBER_KEYS, REMEMBER_SECONDS, timer=timer)
        self._guard = Lock()

    def identify(self, request: Request) -> Caller | None:
        """The caller, or None when nothing that was shown is good. What is shown on purpose wins over a cookie."""
        authorization = request.authorization
        if authorization is not None:
            token = authorization.token if authorization.type == "bearer" else None
            return self._by_token(token) if token else None
        cookie = request.cookies.get(SESSION_COOKIE)
        return self._by_airflow(cookie, by_cookie=True) if cookie else None

    def _by_token(self, token: str) -> Caller | None:
        if token.count(".") == _DOTS_OF_A_JWT:
            return self._by_airflow(token, by_cookie=False)
        key = self._key(token)
        return None if key is None else Caller(f"key:{key.id}", key.scopes)

    def _by_airflow(self, token: str, *, by_cookie: bool) -> Caller | None:
        person = None if self._person is None else self._person(token)
        return None if person is None else Caller(f"person:{person.name}", person.scopes, by_cookie)

    def _key(self, text: str) -> ApiKey | None:
        known_by = key_hash(text)
        with self._guard:
            key = self._known.get(known_by)
        if key is None:
            key = self._recognise(text)
            if key is not None:
                with self._guard:
                    self._known[known_by] = key
        return key
