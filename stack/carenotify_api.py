"""carenotify's own HTTP API, and the stand-ins beside it, as the demo calls them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError

from stack.errors import StackError
from stack.loopback import open_local

Json = dict[str, Any]


def post_json(url: str, body: Json, *, headers: Mapping[str, str] | None = None) -> Json:
    """POST JSON and return the JSON that is answered. Raises StackError with the answer when that is a refusal."""
    words = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=words)  # noqa: S310  # our own address
    try:
        with open_local(request, timeout_seconds=30) as answer:
            found: Json = json.load(answer)
    except HTTPError as error:
        raise StackError(f"{url} answered {error.code}: {error.read(2000).decode(errors='replace')}") from error
    return found


class CarenotifyApi:
    """The API under CARENOTIFY_API_URL, with the key of `.run/env`."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._url = settings["CARENOTIFY_API_URL"]
        self._authorization = {"Authorization": f"Bearer {settings['CARENOTIFY_API_KEY']}"}

    def post_event(self, event: Json) -> Json:
        """Hand in a change event."""
        return self._post("/events", event)

    def pause(self, channel: str | None = None) -> None:
        """Stop sending on a channel, or on all of them."""
        self._post("/pause", {"channel": channel})

    def resume(self, channel: str | None = None) -> None:
        """Go on sending."""
        self._post("/resume", {"channel": channel})

    def ask_for(self, wish: Json, *, key: str) -> Json:
        """Ask for a notification, once for each key."""
        return self._post("/notifications", wish, {"Idempotency-Key": key})

    def get(self, path: str) -> Json:
        """What is answered to a GET of a path."""
        request = urllib.request.Request(self._url + path, headers=self._authorization)  # noqa: S310  # our own address
        with open_local(request, timeout_seconds=30) as answer:
            found: Json = json.load(answer)
        return found

    def _post(self, path: str, body: Json, headers: Mapping[str, str] | None = None) -> Json:
        return post_json(self._url + path, body, headers={**self._authorization, **(headers or {})})
