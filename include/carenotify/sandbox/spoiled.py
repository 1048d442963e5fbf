"""Answers that went wrong on the way: one for each kind of failure that patient APIs were seen with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from carenotify.sandbox.faults import Faults
from carenotify.sandbox.resources import operation_outcome

_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>"
_JSON = "application/fhir+json"


async def answer(request: web.Request, kind: str, body: bytes, faults: Faults) -> web.StreamResponse:
    """Answer `body` as that kind of failure would."""
    return await _KINDS[kind](request, body, faults)


def cut(request: web.Request) -> web.Response:
    """Break the connection off now. What is returned is never seen."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _outcome(status: int, code: str, text: str, headers: dict[str, str] | None = None) -> web.Response:
    body = orjson.dumps(operation_outcome(code, text))
    return web.Response(body=body, status=status, content_type=_JSON, headers=headers)


async def _error(_request: web.Request, _body: bytes, _faults: Faults) -> web.Response:
    return _outcome(500, "exception", "NullPointerException")


async def _bad_gateway(_request: web.Request, _body: bytes, _faults: Faults) -> web.Response:
    return web.Response(text=_HTML, status=502, content_type="text/html")


async def _unavailable(_request: web.Request, _body: bytes, faults: Faults) -> web.Response:
    return _outcome(503, "transient", "maintenance", {"Retry-After": str(faults.retry_after_seconds)})


async def _throttled(_request: web.Request, _body: bytes, faults: Faults) -> web.Response:
    return _outcome(429, "throttled", "too many requests", {"Retry-After": str(faults.retry_after_seconds)})


async def _hang(request: web.Request, _body: bytes, faults: Faults) -> web.Response:
    await asyncio.sleep(faults.hang_seconds)
    return cut(request)


async def _cut(request: web.Request, body: bytes, _faults: Faults) -> web.StreamResponse:
    """Half of what Content-Length promised."""
    response = web.StreamResponse(headers={"Content-Type": _JSON})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    cut(request)
    return response


async def _truncated(_request: web.Request, body: bytes, _faults: Faults) -> web.Response:
    """A whole answer over HTTP with half of the JSON in it."""
    return web.Response(body=body[: len(body) // 2], content_type=_JSON)


async def _other_shape(_request: web.Request, _body: bytes, _faults: Faults) -> web.Response:
    return web.json_response({"data": {"appointments": []}, "version": "2.0"})


async def _outcome_as_success(_request: web.Request, _body: bytes, _faults: Faults) -> web.Response:
    return _outcome(200, "transient", "index is being rebuilt")


async def _login_page(_request: web.Request, _body: bytes, _faults: Faults) -> web.Response:
    return web.Response(text="<html><body><form>Sign in</form></body></html>", content_type="text/html")


_KINDS: dict[str, Callable[[web.Request, bytes, Faults], Awaitable[web.StreamResponse]]] = {
    "500": _error,
    "502-html": _bad_gateway,
    "503-retry-after": _unavailable,
    "429-retry-after": _throttled,
    "timeout": _hang,
    "cut": _cut,
    "truncated-json": _truncated,
    "other-shape": _other_shape,
    "operation-outcome": _outcome_as_success,
    "html": _login_page,
}
