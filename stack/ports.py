"""Loopback ports: free ones, picked once and remembered, so that addresses stay the same from one start to the next."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable
from pathlib import Path

from stack.errors import StackError

# Below the range that the kernel hands to outgoing connections, so that nobody takes a port between pick and bind.
_FIRST, _LAST = 20_000, 32_000


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1, and on the same port of every interface, now."""
    for host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104  # a foreign server may hold either
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def pick_free(taken: set[int] | None = None) -> int:
    """A free loopback port that is not in `taken`. Raises StackError when none is found."""
    for _ in range(1000):
        port = random.randint(_FIRST, _LAST)  # noqa: S311  # not a secret
        if port not in (taken or ()) and is_free(port):
            return port
    raise StackError(f"No free port between {_FIRST} and {_LAST} on 127.0.0.1; stop something that listens there.")


class RememberedPorts:
    """The ports of one run folder, kept in a JSON file: name to number."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def port(self, name: str, *, is_ours: Callable[[], bool] = lambda: False, fixed: str | None = None) -> int:
        """The port for `name`: the fixed one, else the remembered one, else a free one.

        `is_ours` says whether our own process holds the port already; `fixed` is what the user asked for, as text.
        Raises StackError when the fixed port is not a port number or a foreign process holds it.
        """
        port = self._fixed(name, fixed, is_ours) if fixed else self._remembered(name, is_ours)
        if self._ports.get(name) != port:
            self._ports[name] = port
            self._file.write_text(json.dumps(self._ports, indent=1, sort_keys=True) + "\n")
        return port

    def _fixed(self, name: str, fixed: str, is_ours: Callable[[], bool]) -> int:
        if not fixed.isdecimal() or not 0 < int(fixed) < 65_536:
            raise StackError(f"{fixed!r} is not a port number (for {name}); use 1 to 65535.")
        port = int(fixed)
        if not (self._ports.get(name) == port and is_ours()) and not is_free(port):
            raise StackError(f"Port {port}, asked for {name}, is in use by another process; stop it or choose another.")
        return port

    def _remembered(self, name: str, is_ours: Callable[[], bool]) -> int:
        port = self._ports.get(name)
        if port is not None and (is_ours() or is_free(port)):
            return port
        return pick_free(set(self._ports.values()))
