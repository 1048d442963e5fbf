"""Status callbacks as Twilio makes them: signed, late, sometimes twice, sometimes in the wrong order.

An endpoint that is missing is not flooded: few connections, few tries, a pause after failures in a row, and the
queue is bounded.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from carenotify.sandbox.faults import Faults

_CONNECTIONS = 16
_TRIES = 4
_RETRY_SECONDS = (0.5, 2.0, 5.0)
_WAITING_LIMIT = 100_000
_FAILURES_BEFORE_PAUSE = 20
_PAUSE_SECONDS = 5.0
_TWICE_SHARE = 0.05
_DISORDER_SHARE = 0.05


def signature(auth_token: str, url: str, parameters: dict[str, str]) -> str:
    """X-Twilio-Signature: HMAC-SHA1 over the URL and the sorted parameters.

    https://www.twilio.com/docs/usage/security#validating-requests
    """
    signed = url + "".join(name + parameters[name] for name in sorted(parameters))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


@dataclass(slots=True)
class _Endpoint:
    """What is known of one host: failures in a row, and until when (monotonic seconds) it is left alone."""

    failures: int = 0
    quiet_until: float = 0.0


@dataclass(slots=True)
class _Call:
    url: str
    parameters: dict[str, str]
    tries: int = 0


@dataclass(slots=True)
class Callbacks:
    """Makes signed calls in the background. `delay_seconds` bounds how late the first one comes."""

    auth_token: str
    faults: Faults
    seed: int = 0
    delay_seconds: tuple[float, float] = (0.1, 1.5)
    _due: asyncio.Queue[_Call] = field(default_factory=asyncio.Queue)
    _waiting: int = 0
    _endpoints: dict[str, _Endpoint] = field(default_factory=dict)
    _workers: list[asyncio.Task[None]] = field(default_factory=list)
    _session: ClientSession | None = None
    _dice: Random = field(init=False)

    def __post_init__(self) -> None:
        self._dice = Random(f"{self.seed} callbacks")  # noqa: S311 - made to be repeatable

    async def start(self) -> None:
        """Open the client. Call from the loop that it will run on."""
        self._session = ClientSession(
            connector=TCPConnector(limit=_CONNECTIONS), timeout=ClientTimeout(total=15), auto_decompress=False
        )
        self._workers = [asyncio.create_task(self._work()) for _ in range(_CONNECTIONS)]

    async def stop(self) -> None:
        """Give up what is waiting."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def story(self, url: str, steps: list[dict[str, str]]) -> None:
        """Tell the steps of one message's way, one after the other, with Twilio's usual disorder."""
        low, high = self.delay_seconds
        moments = sorted(self._dice.uniform(low, high) for _ in steps)
        if self._dice.random() < _DISORDER_SHARE:
            moments.reverse()
            self.faults.counted["callbacks:out-of-order"] += len(steps) > 1
        for moment, parameters in zip(moments, steps, strict=True):
            self._later(moment, _Call(url, parameters))
            if self._dice.random() < _TWICE_SHARE:
                self.faults.counted["callbacks:twice"] += 1
                self._later(moment + high, _Call(url, parameters))

    async def post(self, url: str, parameters: dict[str, str]) -> tuple[int, str]:
        """One signed call, now. Returns status and body; raises ClientError or TimeoutError."""
        if self._session is None:
            raise RuntimeError("start() comes first")
        signed = signature(self.auth_token, url, parameters)
        headers = {"X-Twilio-Signature": signed, "Accept-Encoding": "identity"}  # answers are read as they come
        async with self._session.post(url, data=parameters, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    def resting(self, url: str) -> bool:
        """Whether the endpoint is being left alone because it failed too often."""
        endpoint = self._endpoints.get(urlsplit(url).netloc)
        return endpoint is not None and endpoint.quiet_until > time.monotonic()

    def _later(self, seconds: float, call: _Call) -> None:
        if self._waiting >= _WAITING_LIMIT:
            self.faults.counted["callbacks:given-up"] += 1
            return
        self._waiting += 1
        asyncio.get_running_loop().call_later(seconds, self._due.put_nowait, call)

    async def _work(self) -> None:
        while True:
            call = await self._due.get()
            self._waiting -= 1
            endpoint = self._endpoints.setdefault(urlsplit(call.url).netloc, _Endpoint())
            quiet = endpoint.quiet_until - time.monotonic()
            if quiet > 0:
                self._again(call, quiet + self._dice.random())
            elif not await self._made(call, endpoint):
                self._again(call, _RETRY_SECONDS[min(call.tries, len(_RETRY_SECONDS) - 1)])

    async def _made(self, call: _Call, endpoint: _Endpoint) -> bool:
        try:
            status, _ = await self.post(call.url, call.parameters)
        except (ClientError, TimeoutError, OSError):
            status = 0
        if 200 <= status < 300:
            endpoint.failures = 0
            self.faults.counted["callbacks:made"] += 1
            return True
        self.faults.counted[f"callbacks:failed:{status}"] += 1
        endpoint.failures += 1
        if endpoint.failures >= _FAILURES_BEFORE_PAUSE:
            endpoint.failures = 0
            endpoint.quiet_until = time.monotonic() + _PAUSE_SECONDS
        return False

    def _again(self, call: _Call, seconds: float) -> None:
        call.tries += 1
        if call.tries < _TRIES:
            self._later(seconds, call)
        else:
            self.faults.counted["callbacks:given-up"] += 1
