"""A Twilio-shaped SMS provider: the Messages resource of api.twilio.com (2010-04-01), as far as we use it.

https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import orjson
from aiohttp import ClientError, web

from carenotify.sandbox import twilio_numbers
from carenotify.sandbox.faults import Faults
from carenotify.sandbox.ledger import Ledger
from carenotify.sandbox.spoiled import cut
from carenotify.sandbox.twilio_callbacks import Callbacks
from carenotify.sandbox.twilio_message import Message, callback
from carenotify.sandbox.twilio_numbers import Fate, Refusal

_TEMPORARY = {
    "429": twilio_numbers.TOO_MANY,
    "500": twilio_numbers.INTERNAL,
    "503": twilio_numbers.UNAVAILABLE,
}
_STOP_WORDS = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"}
_START_WORDS = {"START", "YES", "UNSTOP"}


class TwilioApi:
    """Handlers for one account. Messages stay until the process ends: look-ups need them."""

    def __init__(
        self, *, account_sid: str, callbacks: Callbacks, ledger: Ledger, faults: Faults, inbound_url: str | None
    ) -> None:
        self._account_sid = account_sid
        self._callbacks = callbacks
        self._ledger = ledger
        self._faults = faults
        self._inbound_url = inbound_url
        credentials = f"{account_sid}:{callbacks.auth_token}".encode()
        self._authorization = b"Basic " + base64.b64encode(credentials)
        self._messages: dict[str, Message] = {}
        self._by_number: defaultdict[str, list[Message]] = defaultdict(list)
        self._stopped: set[str] = set()
        self._dice = Random(f"{faults.seed} sids")  # noqa: S311 - made to be repeatable

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        base = "/2010-04-01/Accounts/{account}"
        return [
            web.post(base + "/Messages.json", self._create),
            web.get(base + "/Messages.json", self._list),
            web.get(base + "/Messages/{sid}.json", self._fetch),
            web.post("/twilio/inbound", self._inbound),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        form = dict(parse_qsl((await request.read()).decode()))
        if self._faults.latency_ms:
            await asyncio.sleep(self._faults.latency_ms / 1000)
        if not self._authenticated(request):
            return _refused(twilio_numbers.UNAUTHENTICATED, "")
        fault = self._faults.for_provider_call("twilio")
        if fault == "cut":
            return cut(request)
        if fault in _TEMPORARY:
            return _refused(_TEMPORARY[fault], "")
        outcome = self._outcome(form)
        if isinstance(outcome, Refusal):
            return _refused(outcome, form.get("To", ""))
        message = self._accept(form, outcome)
        if self._faults.answer_delay_ms:
            await asyncio.sleep(self._faults.answer_delay_ms / 1000)
        if fault == "accept-then-cut" or request.transport is None:
            self._ledger.note_unanswered(_notification_id(form.get("StatusCallback", "")))
            return cut(request)
        return _json(message.as_json(), status=201)

    def _outcome(self, form: dict[str, str]) -> Refusal | Fate:
        if not form.get("To"):
            return twilio_numbers.NO_TO
        if not form.get("Body"):
            return twilio_numbers.NO_BODY
        if not (form.get("From") or form.get("MessagingServiceSid")):
            return twilio_numbers.NO_FROM
        if len(form["Body"]) > 1600:
            return twilio_numbers.TOO_LONG
        if form["To"] in self._stopped:
            self._faults.counted["twilio:after-stop"] += 1
            return twilio_numbers.OPTED_OUT
        if self._faults.is_dead(form["To"]):
            return twilio_numbers.UNKNOWN if self._faults.dies_late(form["To"]) else twilio_numbers.INVALID_NUMBER
        return twilio_numbers.fate_of(form["To"])

    def _accept(self, form: dict[str, str], fate: Fate) -> Message:
        message = Message(
            sid=f"SM{self._dice.getrandbits(128):032x}",
            account_sid=self._account_sid,
            to=form["To"],
            sender=form.get("From"),
            service_sid=form.get("MessagingServiceSid"),
            body=form["Body"],
            created=datetime.now(UTC),
        )
        self._messages[message.sid] = message
        self._by_number[message.to].append(message)
        url = form.get("StatusCallback", "")
        said = {"to": message.to, "body": message.body, "sid": message.sid}
        self._ledger.note("sms", _notification_id(url), said, arrives=fate.status == "delivered")
        answered = replace(message)
        self._send_on(message, fate, url)
        return answered

    def _send_on(self, message: Message, fate: Fate, url: str) -> None:
        """What a look-up shows is at once the last status; the callbacks tell the way there later."""
        message.status, message.error_code = fate.status, fate.error_code
        if url and not fate.silent and self._faults.receipts_mode == "on":
            ways = ("failed",) if fate.status == "failed" else ("sent", fate.status)
            self._callbacks.story(url, [callback(message, status) for status in ways])

    async def _fetch(self, request: web.Request) -> web.Response:
        if not self._authenticated(request):
            return _refused(twilio_numbers.UNAUTHENTICATED, "")
        message = self._messages.get(request.match_info["sid"])
        return _refused(twilio_numbers.NOT_FOUND, "") if message is None else _json(message.as_json())

    async def _list(self, request: web.Request) -> web.Response:
        """Youngest first; `To`, `PageSize` and `Page` are heeded."""
        if not self._authenticated(request):
            return _refused(twilio_numbers.UNAUTHENTICATED, "")
        wanted = request.query.get("To")
        found = self._by_number.get(wanted, []) if wanted else list(self._messages.values())
        size, page = int(request.query.get("PageSize", "50")), int(request.query.get("Page", "0"))
        shown = found[::-1][page * size : (page + 1) * size]
        more = (page + 1) * size < len(found)
        return _json(
            {
                "messages": [message.as_json() for message in shown],
                "page": page,
                "page_size": size,
                "start": page * size,
                "end": page * size + len(shown),
                "uri": request.path_qs,
                "first_page_uri": _page_uri(request, 0),
                "previous_page_uri": _page_uri(request, page - 1) if page else None,
                "next_page_uri": _page_uri(request, page + 1) if more else None,
            }
        )

    async def _inbound(self, request: web.Request) -> web.Response:
        """A reply from a telephone, posted, signed, to the configured URL. STOP bars the number, as at Twilio."""
        wanted = await request.json()
        sender, body = str(wanted["from"]), str(wanted["body"])
        url = wanted.get("url", self._inbound_url)
        self._heed(sender, body.strip().upper())
        if not url:
            return web.json_response({"error": "no inbound URL: give --inbound-url, or url in the body"}, status=409)
        try:
            status, answer = await self._callbacks.post(
                url, self._reply(sender, str(wanted.get("to", "+15005550006")), body)
            )
        except (ClientError, TimeoutError) as error:
            return web.json_response({"error": type(error).__name__}, status=502)
        return web.json_response({"status": status, "answer": answer})

    def _heed(self, sender: str, word: str) -> None:
        if word in _STOP_WORDS:
            self._stopped.add(sender)
        elif word in _START_WORDS:
            self._stopped.discard(sender)

    def _reply(self, sender: str, to: str, body: str) -> dict[str, str]:
        sid = f"SM{self._dice.getrandbits(128):032x}"
        names = {"MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "AccountSid": self._account_sid}
        return names | {
            "From": sender,
            "To": to,
            "Body": body,
            "NumMedia": "0",
            "NumSegments": "1",
            "ApiVersion": "2010-04-01",
        }

    def _authenticated(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "").encode()
        return hmac.compare_digest(given, self._authorization) and request.match_info["account"] == self._account_sid


def _notification_id(callback_url: str) -> str | None:
    return parse_qs(urlsplit(callback_url).query).get("notification_id", [None])[0]


def _page_uri(request: web.Request, page: int) -> str:
    return request.rel_url.update_query({"Page": str(page)}).raw_path_qs


def _refused(refusal: Refusal, to: str) -> web.Response:
    more_info = f"https://www.twilio.com/docs/errors/{refusal.code}"
    body = {
        "code": refusal.code,
        "message": refusal.message.format(to=to),
        "more_info": more_info,
        "status": refusal.status,
    }
    headers = {"Retry-After": "1"} if refusal.status == 429 else None
    return _json(body, status=refusal.status, headers=headers)


def _json(body: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers)
