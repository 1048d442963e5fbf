"""The hospital's patient API: FHIR R4 over HTTP, with every way in which such servers fail."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import web

from carenotify.sandbox import fhir_search, spoiled
from carenotify.sandbox.faults import Faults
from carenotify.sandbox.fhir_search import Search, SearchError, Searches
from carenotify.sandbox.hospital import Hospital
from carenotify.sandbox.resources import Resource, operation_outcome

CONTENT_TYPE = "application/fhir+json"
_OVERLAP_EVERY = 3  # each third page repeats the last row of the page before, as when rows move during paging


class FhirApi:
    """Handlers over one hospital. Every call under /fhir but the metadata may fail."""

    def __init__(self, hospital: Hospital, faults: Faults) -> None:
        self._hospital = hospital
        self._faults = faults
        self._searches = Searches()

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        return [
            web.get("/fhir/metadata", self._metadata),
            web.get("/fhir", self._page),
            web.get("/fhir/Appointment", self._search),
            web.get("/fhir/{kind:Appointment|Patient|Location}/{id}", self._read),
        ]

    async def _metadata(self, _request: web.Request) -> web.Response:
        return _answer(
            {
                "resourceType": "CapabilityStatement",
                "status": "active",
                "date": "2026-01-01",
                "kind": "instance",
                "fhirVersion": "4.0.1",
                "format": ["json"],
                "rest": [
                    {"mode": "server", "resource": [{"type": name} for name in ("Appointment", "Patient", "Location")]}
                ],
            }
        )

    async def _search(self, request: web.Request) -> web.StreamResponse:
        try:
            found = fhir_search.search(self._hospital, list(request.query.items()))
        except SearchError as error:
            return await self._send(request, operation_outcome("invalid", str(error)), status=400)
        return await self._send(request, self._bundle(request, found, self._searches.keep(found), number=0))

    async def _page(self, request: web.Request) -> web.StreamResponse:
        token, number = request.query.get("_getpages", ""), request.query.get("_page", "")
        found = self._searches.find(token)
        if found is None or not number.isdecimal():
            return await self._send(request, operation_outcome("not-found", "this page is gone"), status=410)
        return await self._send(request, self._bundle(request, found, token, number=int(number)))

    async def _read(self, request: web.Request) -> web.StreamResponse:
        kind, key = request.match_info["kind"], request.match_info["id"]
        row = self._hospital.rows.get(key) if kind == "Appointment" else None
        if row is not None and row.deleted:
            return await self._send(request, operation_outcome("deleted", f"{kind}/{key} was deleted"), status=410)
        store = {"Patient": self._hospital.patients, "Location": self._hospital.locations}.get(kind, {})
        resource = row.resource if row is not None else store.get(key)
        if resource is None:
            return await self._send(request, operation_outcome("not-found", f"{kind}/{key} is not known"), status=404)
        return await self._send(request, resource)

    def _bundle(self, request: web.Request, found: Search, token: str, *, number: int) -> Resource:
        endless = self._faults.mode == "endless-pages"
        place = 0 if endless else number
        ids = self._ids_of_page(found, place)
        matches = [self._hospital.rows[key].resource for key in ids]
        base = f"{request.url.origin()}/fhir"
        links = [{"relation": "self", "url": str(request.url)}]
        if endless or (place + 1) * found.count < len(found.ids):
            links.append({"relation": "next", "url": f"{base}?_getpages={token}&_page={number + 1}"})
        companions = fhir_search.included(self._hospital, matches, found.includes)
        return {
            "resourceType": "Bundle",
            "id": f"{token}-{number}",
            "type": "searchset",
            "total": len(found.ids),
            "link": links,
            "entry": [
                *(_entry(base, resource, "match") for resource in matches),
                *(_entry(base, resource, "include") for resource in companions),
            ],
        }

    def _ids_of_page(self, found: Search, place: int) -> list[str]:
        first = place * found.count
        ids = list(found.ids[first : first + found.count])
        if self._faults.fail_share > 0 and place % _OVERLAP_EVERY == 1:
            ids.insert(0, found.ids[first - 1])
        return self._quirky(ids)

    def _quirky(self, ids: list[str]) -> list[str]:
        """Now and then rows come twice, or one is left out that was served before (so that a first load is whole)."""
        quirk = self._faults.for_page()
        known = [key for key in ids if self._hospital.rows[key].served]
        if quirk == "duplicate-entries":
            ids = ids + ids[:3]
        elif quirk == "missing-entry" and known:
            ids = [key for key in ids if key != known[0]]
        else:
            return ids
        self._faults.counted[f"page:{quirk}"] += 1
        return ids

    async def _send(self, request: web.Request, body: Resource, *, status: int = 200) -> web.StreamResponse:
        if self._faults.latency_ms:
            await asyncio.sleep(self._faults.latency_ms / 1000)
        kind = self._faults.for_fhir_call()
        if kind is not None:
            return await spoiled.answer(request, kind, orjson.dumps(body), self._faults)
        for entry in body.get("entry", ()):
            if entry["search"]["mode"] == "match":
                self._hospital.rows[entry["resource"]["id"]].served = True
        return _answer(body, status=status)


def _entry(base: str, resource: Resource, mode: str) -> dict[str, Any]:
    url = f"{base}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}


def _answer(body: Resource, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type=CONTENT_TYPE)
