"""The sandbox's own endpoints: what arrived, what went wrong, and levers to change the hospital while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

import orjson
from aiohttp import web

from carenotify.sandbox.faults import Faults
from carenotify.sandbox.hospital import Hospital
from carenotify.sandbox.ledger import Ledger
from carenotify.sandbox.mail import readable

_CHANGEABLE = {"start", "end", "status", "location"}
_DEFAULT_LIMIT = 100


class Control:
    """Handlers without faults."""

    def __init__(self, hospital: Hospital, ledger: Ledger, faults: Faults) -> None:
        self._hospital = hospital
        self._ledger = ledger
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        return [
            web.get("/health", self._health),
            web.get("/counts", self._counts),
            web.delete("/counts", self._reset),
            web.get("/arrived", self._arrived),
            web.get("/unanswered", self._unanswered),
            web.get("/messages", self._messages),
            web.get("/mails", self._mails),
            web.get("/stats", self._stats),
            web.get("/faults", self._show_faults),
            web.post("/faults", _explained(self._set_faults)),
            web.get("/hospital/preferences.csv", self._preferences),
            web.get("/hospital/expected", _explained(self._expected)),
            web.post("/hospital/appointments/{id}", _explained(self._change)),
            web.post("/hospital/locations/{id}", _explained(self._rename)),
        ]

    async def _health(self, _request: web.Request) -> web.Response:
        return _json({"status": "ok", "appointments": len(self._hospital.rows)})

    async def _counts(self, _request: web.Request) -> web.Response:
        return _json(self._ledger.counts())

    async def _unanswered(self, _request: web.Request) -> web.Response:
        """How often a message was taken and its sender never told, by notification id."""
        return _json(dict(self._ledger.unanswered))

    async def _arrived(self, _request: web.Request) -> web.Response:
        """Ids of what a person has, and not only a provider."""
        return _json({"notification_ids": sorted(self._ledger.arrived)})

    async def _reset(self, _request: web.Request) -> web.Response:
        self._ledger.reset()
        return web.Response(status=204)

    async def _messages(self, request: web.Request) -> web.Response:
        """What arrived on both channels, by `notification_id` and `to` if given."""
        wanted = {name: request.query[name] for name in ("notification_id", "to") if name in request.query}
        texts = self._ledger.messages("sms", **wanted)
        return _json({"messages": _youngest(request, texts) + self._read_mails(request)})

    async def _mails(self, request: web.Request) -> web.Response:
        return _json({"mails": self._read_mails(request)})

    def _read_mails(self, request: web.Request) -> list[dict[str, Any]]:
        wanted = {name: request.query[name] for name in ("notification_id",) if name in request.query}
        to = request.query.get("to")
        found = [mail for mail in self._ledger.messages("email", **wanted) if to is None or to in mail["to"]]
        return [readable(mail) for mail in _youngest(request, found)]

    async def _stats(self, _request: web.Request) -> web.Response:
        counted = self._faults.counted
        return _json(
            {
                "api_calls": counted["api_calls"],
                "api_failures": counted["api_failures"],
                "by_kind": {kind: times for kind, times in sorted(counted.items()) if ":" in kind},
                "received": {channel: counter.total() for channel, counter in self._ledger.times.items()},
                "received_without_id": dict(self._ledger.without_id),
            }
        )

    async def _show_faults(self, _request: web.Request) -> web.Response:
        return _json(self._faults.settable())

    async def _set_faults(self, request: web.Request) -> web.Response:
        self._faults.set(await request.json())
        return _json(self._faults.settable())

    async def _preferences(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._hospital.preferences_csv(), content_type="text/csv")

    async def _expected(self, request: web.Request) -> web.Response:
        """The truth about one local day (`day`, by default the reminder day): told, skipped by reason, quarantined.

        Of those told, `reachable` are the ones with an address that takes messages.
        """
        day = date.fromisoformat(request.query.get("day", self._hospital.reminder_day.isoformat()))
        truth = dataclasses.asdict(self._hospital.expected(day))
        named = {name: sorted(truth[name]) for name in ("told", "with_two_addresses")}
        reachable = [person for person in named["told"] if self._is_reachable(person)]
        return _json({"day": day, **truth, **named, "reachable": reachable, "merged": self._hospital.survivors})

    def _is_reachable(self, patient_id: str) -> bool:
        return not all(self._faults.is_dead(address) for address in self._hospital.addresses(patient_id))

    async def _change(self, request: web.Request) -> web.Response:
        """`{"start"?, "end"?, "status"?, "location"?}` or `{"delete": true}`."""
        wanted = await request.json()
        key = request.match_info["id"]
        if wanted.pop("delete", False):
            self._hospital.rows[key].deleted = True
            return web.Response(status=204)
        if not wanted or not wanted.keys() <= _CHANGEABLE:
            raise ValueError(f"give any of {', '.join(sorted(_CHANGEABLE))}, or delete")
        return _json(self._hospital.change(key, datetime.now(UTC), **wanted))

    async def _rename(self, request: web.Request) -> web.Response:
        """`{"name": …}`."""
        name = (await request.json())["name"]
        return _json(self._hospital.rename(request.match_info["id"], name, datetime.now(UTC)))


Handler = Callable[[web.Request], Awaitable[web.Response]]


def _explained(handler: Handler) -> Handler:
    """Answer 400 or 404 where the caller's words were wrong."""

    async def wrapped(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except KeyError as error:
            return _json({"error": f"not known: {error}"}, status=404)
        except (ValueError, TypeError) as error:
            return _json({"error": str(error)}, status=400)

    return wrapped


def _youngest(request: web.Request, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return found[-int(request.query.get("limit", _DEFAULT_LIMIT)) :]


def _json(body: object, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
