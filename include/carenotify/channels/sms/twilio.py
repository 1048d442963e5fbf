"""SMS through Twilio's Programmable Messaging, by its own SDK."""

from __future__ import annotations

import json
import time
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from twilio.base.exceptions import TwilioException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.exceptions import NewConnectionError

from carenotify.channels.base import Found, OutgoingMessage, Provider
from carenotify.channels.over_http import CONNECT_SECONDS
from carenotify.channels.sms.twilio_codes import refusal
from carenotify.domain.clock import Clock, system_clock
from carenotify.domain.notification import Channel
from carenotify.errors import (
    MisconfiguredError,
    NotTriedError,
    SettingsError,
    TemporaryDeliveryError,
    UnconfirmedDeliveryError,
)

# What never got as far as the call, and what may have: then Twilio may have taken the message all the same.
_TRANSPORT: tuple[tuple[type[Exception], type[TemporaryDeliveryError], str], ...] = (
    (requests.exceptions.SSLError, TemporaryDeliveryError, "tls"),
    (requests.exceptions.ProxyError, TemporaryDeliveryError, "proxy"),
    (requests.exceptions.ConnectTimeout, TemporaryDeliveryError, "no-connection"),
    (requests.exceptions.Timeout, UnconfirmedDeliveryError, "timeout"),
    (requests.exceptions.ConnectionError, UnconfirmedDeliveryError, "connection-cut"),
    (Exception, UnconfirmedDeliveryError, "transport"),
)


# How long Twilio may keep a message before it gives it to a carrier, in seconds (its error 21624 names the bounds).
_SHORTEST, _LONGEST = 1, 36_000
# A success that is no message.
_UNREADABLE = (TwilioException, ValueError, TypeError, AttributeError, KeyError)
_NO_SUCH_RESOURCE = "20404"


class TwilioProvider(Provider):
    """`sender` is a number (E.164), an alphanumeric id, or a messaging service (MG...).

    `urgent_sender`, if there is one, is for urgent messages: Twilio queues by sender, so they never wait behind bulk.
    `public_url` is where Twilio reaches us for status callbacks; None when it cannot. `threads` is how many connections
    are kept open.
    """

    name: ClassVar[str] = "twilio"
    channel: ClassVar[Channel] = Channel.SMS
    looks_up: ClassVar[bool] = True

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        sender: str,
        urgent_sender: str | None = None,
        base_url: str,
        public_url: str | None,
        timeout_seconds: float = 10.0,
        threads: int = 16,
        clock: Clock = system_clock,
    ) -> None:
        if urlsplit(base_url).scheme not in ("http", "https"):
            raise SettingsError("CARENOTIFY_TWILIO_BASE_URL: has to be a http:// or https:// URL")
        self._http = _KeptConnections(base_url, timeout_seconds=timeout_seconds, connections=threads, clock=clock)
        self._messages = Client(account_sid, auth_token, http_client=self._http).messages
        self._from = _sender(sender)
        self._urgent_from = _sender(urgent_sender or sender)
        self._clock = clock
        self._public_url = public_url

    def send(self, message: OutgoingMessage) -> str:
        """Hand one SMS over and return its SID."""
        if time.monotonic() >= message.deadline:
            raise NotTriedError("too-slow")
        try:
            taken = self._messages.create(
                to=message.to,
                body=message.text,
                **self._callback(message),
                **self._validity(message),
                **(self._urgent_from if message.urgent else self._from),
            )
        except _UNREADABLE:
            raise UnconfirmedDeliveryError("unreadable-answer") from None
        if not taken.sid:
            raise UnconfirmedDeliveryError("unreadable-answer")
        return str(taken.sid)

    def look_up(self, provider_message_id: str) -> Found | None:
        """What Twilio's record of a message says (https://www.twilio.com/docs/messaging/api/message-resource)."""
        try:
            found = self._messages.get(provider_message_id).fetch()
        except MisconfiguredError as error:
            if error.code == _NO_SUCH_RESOURCE:
                return None
            raise
        except _UNREADABLE:
            raise UnconfirmedDeliveryError("unreadable-answer") from None
        if not isinstance(found.status, str) or not found.status:
            raise UnconfirmedDeliveryError("unreadable-answer")
        return Found(found.status, None if found.error_code is None else str(found.error_code))

    def close(self) -> None:
        """Let go of the kept connections."""
        self._http.close()

    def _callback(self, message: OutgoingMessage) -> dict[str, str]:
        if self._public_url is None:
            return {}
        route = f"{self._public_url.rstrip('/')}/carenotify/v1/receipts/twilio"
        return {"status_callback": f"{route}?notification_id={message.notification_id}"}

    def _validity(self, message: OutgoingMessage) -> dict[str, int]:
        """What waits at Twilio when its window closes is not sent any more."""
        if message.expires_at is None:
            return {}
        seconds = int((message.expires_at - self._clock()).total_seconds())
        return {"validity_period": min(max(seconds, _SHORTEST), _LONGEST)}


def _sender(sender: str) -> dict[str, str]:
    return {"messaging_service_sid" if sender.startswith("MG") else "from_": sender}


class _KeptConnections(HttpClient):  # type: ignore[misc]
    """The SDK's way out: to our base URL, over kept connections, and without logging what it sends.

    The SDK's own client asks the environment for proxies at every call, and logs bodies.
    """

    def __init__(self, base_url: str, *, timeout_seconds: float, connections: int, clock: Clock) -> None:
        super().__init__(logger=None, is_async=False, timeout=timeout_seconds)
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=0))
        self._settings = self._session.merge_environment_settings(self._base_url, {}, None, None, None)

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,  # noqa: FBT001, FBT002 - the SDK's signature
    ) -> Response:
        """Send one call. Raises a DeliveryError unless the answer is a success (2xx)."""
        url = self._base_url + urlsplit(uri).path
        call = requests.Request(method, url, headers=headers, params=params or {}, data=data or {}, auth=auth)
        seconds = timeout or self.timeout
        try:
            answer = self._session.send(
                call.prepare(),
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                allow_redirects=allow_redirects,
                **self._settings,
            )
        except (requests.RequestException, OSError, ValueError) as error:
            raise _lost(error) from None
        if not answer.ok or answer.is_redirect:
            raise refusal(answer.status_code, _code(answer.content), answer.headers, self._clock())
        # answer.text would guess the encoding, slowly, where the server names none. JSON is UTF-8.
        return Response(answer.status_code, answer.content.decode(errors="replace"), answer.headers)

    def close(self) -> None:
        self._session.close()


def _lost(error: Exception) -> TemporaryDeliveryError:
    if error.args and isinstance(getattr(error.args[0], "reason", None), NewConnectionError):
        return TemporaryDeliveryError("no-connection")
    return next(outcome(code) for kind, outcome, code in _TRANSPORT if isinstance(error, kind))


def _code(body: bytes) -> int | None:
    """Twilio's error code in an error's JSON, if it is one."""
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return None
    code = answer.get("code") if isinstance(answer, dict) else None
    return code if isinstance(code, int) else None
