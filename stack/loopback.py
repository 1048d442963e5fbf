"""Calls to our own servers on 127.0.0.1, which never go through a proxy that the environment names."""

from __future__ import annotations

import json
import socket
import urllib.request
from http.client import HTTPResponse
from typing import Any

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def accepts(port: int) -> bool:
    """Whether something listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def open_local(request: urllib.request.Request | str, *, timeout_seconds: float) -> HTTPResponse:
    """Send a request. Raises urllib's errors and OSError."""
    answer: HTTPResponse = _DIRECT.open(request, timeout=timeout_seconds)
    return answer


def answers_ok(url: str) -> bool:
    """Whether a GET of this address is answered with a 2xx."""
    try:
        with open_local(url, timeout_seconds=5):
            return True
    except OSError:  # urllib's errors are OSErrors
        return False


def get_json(url: str, *, timeout_seconds: float = 30) -> Any:
    """The JSON that a GET answers. Raises urllib's errors and OSError."""
    with open_local(url, timeout_seconds=timeout_seconds) as answer:
        return json.load(answer)
