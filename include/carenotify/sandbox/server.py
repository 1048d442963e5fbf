"""Runs the sandbox: HTTP and SMTP on one asyncio loop, by itself or in a background thread for tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import date
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

from aiohttp import web

from carenotify.sandbox.control import Control
from carenotify.sandbox.faults import Faults
from carenotify.sandbox.fhir import FhirApi
from carenotify.sandbox.hospital import DEFAULT_DIRTY_SHARE, Hospital, build_hospital
from carenotify.sandbox.ledger import Ledger
from carenotify.sandbox.mail import smtp_protocol
from carenotify.sandbox.twilio import TwilioApi
from carenotify.sandbox.twilio_callbacks import Callbacks

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the outside world is. Port 0 takes a free one; shares are between 0 and 1."""

    reminder_day: date
    timezone: ZoneInfo
    appointments: int = 50
    seed: int = 1
    host: str = HOST
    http_port: int = 0
    smtp_port: int = 0
    fail_share: float = 0.0
    provider_fail_share: float = 0.0
    dead_share: float = 0.0
    dirty_share: float = DEFAULT_DIRTY_SHARE
    latency_ms: float = 0.0
    twilio_account_sid: str = "AC" + "0" * 32
    twilio_auth_token: str = "sandbox-token"  # noqa: S105 - the sandbox's own, for tests
    inbound_url: str | None = None
    callback_delay_seconds: tuple[float, float] = (0.1, 1.5)


@dataclass(slots=True)
class Sandbox:
    """The parts, wired. `start` returns once both ports take connections."""

    options: Options
    hospital: Hospital = field(init=False)
    ledger: Ledger = field(init=False)
    faults: Faults = field(init=False)
    http_port: int = 0
    smtp_port: int = 0
    callbacks: Callbacks = field(init=False)
    _runner: web.AppRunner | None = None
    _smtp: asyncio.Server | None = None

    def __post_init__(self) -> None:
        options = self.options
        self.ledger = Ledger()
        self.faults = Faults(
            seed=options.seed,
            fail_share=options.fail_share,
            provider_fail_share=options.provider_fail_share,
            dead_share=options.dead_share,
            latency_ms=options.latency_ms,
        )
        self.callbacks = Callbacks(options.twilio_auth_token, self.faults, options.seed, options.callback_delay_seconds)
        self.hospital = build_hospital(
            appointments=options.appointments,
            seed=options.seed,
            reminder_day=options.reminder_day,
            timezone=options.timezone,
            dirty_share=options.dirty_share,
        )

    async def start(self) -> None:
        """Listen. Raises OSError when a port is taken."""
        await self.callbacks.start()
        self._runner = web.AppRunner(self._application(), access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.options.host, self.options.http_port, backlog=1024).start()
        loop = asyncio.get_running_loop()
        self._smtp = await loop.create_server(
            lambda: smtp_protocol(self.ledger, self.faults, loop),
            self.options.host,
            self.options.smtp_port,
            backlog=1024,
        )
        self.http_port = self._runner.addresses[0][1]
        self.smtp_port = self._smtp.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and let go of every connection."""
        if self._smtp is not None:
            self._smtp.close()
        await self.callbacks.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application()
        application.add_routes(FhirApi(self.hospital, self.faults).routes())
        application.add_routes(Control(self.hospital, self.ledger, self.faults).routes())
        twilio = TwilioApi(
            account_sid=self.options.twilio_account_sid,
            callbacks=self.callbacks,
            ledger=self.ledger,
            faults=self.faults,
            inbound_url=self.options.inbound_url,
        )
        application.add_routes(twilio.routes())
        return application


class SandboxServer:
    """A sandbox in a background thread: `with SandboxServer(reminder_day=…, timezone=…) as server: …`.

    Takes the fields of Options. `faults`, `ledger` and `hospital` may be read and set from the test's thread.
    """

    def __init__(self, **options: Any) -> None:
        self.sandbox = Sandbox(Options(**options))
        self.faults = self.sandbox.faults
        self.ledger = self.sandbox.ledger
        self.hospital = self.sandbox.hospital
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)

    @property
    def url(self) -> str:
        """Base of the HTTP side; also what a Twilio client should take for https://api.twilio.com."""
        return f"http://{HOST}:{self.sandbox.http_port}"

    @property
    def fhir_url(self) -> str:
        """Base of the patient API."""
        return f"{self.url}/fhir"

    @property
    def smtp_url(self) -> str:
        """Address of the mail server."""
        return f"smtp://{HOST}:{self.sandbox.smtp_port}"

    def counts(self) -> dict[str, dict[str, Any]]:
        """`{notification_id: {"channel", "times"}}`."""
        return self.ledger.counts()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._await(self.sandbox.start())
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _close(self) -> None:
        self._await(wind_up(self.sandbox))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def wind_up(sandbox: Sandbox) -> None:
    """Stop, and end what connections left running on this loop."""
    await sandbox.stop()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
