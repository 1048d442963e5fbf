"""Whether a request comes from this very machine, by the addresses of its connection and by nothing that it says."""

from __future__ import annotations

from ipaddress import ip_address

from flask import request

from carenotify.api.wiring import wiring

_OF_PROXIES = ("Forwarded", "Via", "X-Real-Ip")
_OF_PROXIES_BEGIN = "X-Forwarded"


def from_this_machine() -> bool:
    """Whether its caller is on a loopback address and we listen on one, with no proxy between us.

    Behind a proxy of this machine everybody is on a loopback address; what it adds to a request gives it away. WSGI
    servers tell in SERVER_NAME the address that they listen on (gunicorn), or that the call came in on (uvicorn).
    """
    if wiring().app.settings.api_trusted_proxies or any(map(_is_of_a_proxy, request.headers.keys())):
        return False
    return all(_is_loopback(request.environ.get(name, "")) for name in ("REMOTE_ADDR", "SERVER_NAME"))


def _is_of_a_proxy(header: str) -> bool:
    return header in _OF_PROXIES or header.startswith(_OF_PROXIES_BEGIN)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
