"""Appointments from a FHIR R4 server (http://hl7.org/fhir/R4/appointment.html), page by page."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote, urljoin, urlsplit
from zoneinfo import ZoneInfo

import requests

from carenotify.config import Settings
from carenotify.domain.window import day_bounds
from carenotify.errors import SourceAnswerError, SourceUnavailableError
from carenotify.sources.base import AppointmentSource, Page, SourcePatient, SourceRow
from carenotify.sources.fhir_appointment import read_appointment, venue_name
from carenotify.sources.fhir_fields import member, members, text
from carenotify.sources.fhir_http import FhirHttp
from carenotify.sources.fhir_patient import read_patient

_log = logging.getLogger(__name__)

_INCLUDES = ("Appointment:patient", "Appointment:location")
_MERGE_CHAIN = 5
# A server may answer a page that is empty after its own filtering, but not this many in a row.
_IDLE_PAGES = 10
# More records than this that stay away are no longer the fault of the records.
_RECORDS_AWAY = 10
_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(slots=True)
class _Records:
    """Resources that came beside the appointments, by type and id; None is what the server does not know."""

    known: dict[tuple[str, str], dict[str, Any] | None] = field(default_factory=dict)
    away: int = 0

    def next_page(self) -> None:
        """Forget the patients, who come again with each page that names them; a hospital's places are few."""
        self.known = {key: resource for key, resource in self.known.items() if key[0] == "Location"}


@dataclass(slots=True)
class _Trail:
    """Where a search has been, to find out a server that pages forever."""

    page_limit: int
    urls: set[str] = field(default_factory=set)
    found: set[str | None] = field(default_factory=set)
    pages: int = 0
    idle_pages: int = 0

    def refuse_endless(self, page: Page, next_url: str | None) -> None:
        """Raise SourceAnswerError for a link met before, many pages that bring nothing new, or too many pages."""
        found = {row.appointment_id for row in page.rows}
        self.pages += 1
        self.idle_pages = 0 if found - self.found else self.idle_pages + 1
        self.found |= found
        if next_url is None:
            return
        if next_url in self.urls or self.idle_pages >= _IDLE_PAGES or self.pages >= self.page_limit:
            raise SourceAnswerError(f"the patient API pages forever: stopped after {self.pages} pages")
        self.urls.add(next_url)


class FhirR4Source(AppointmentSource):
    """`page_limit` bounds one search, so that a server that pages forever is found out."""

    def __init__(
        self,
        *,
        http: FhirHttp,
        timezone: ZoneInfo,
        default_region: str,
        page_size: int = 500,
        page_limit: int = 2000,
    ) -> None:
        self._http = http
        self._timezone = timezone
        self._default_region = default_region
        self._page_size = page_size
        self._page_limit = page_limit

    def appointments_on(self, day: date) -> Iterator[Page]:
        """See AppointmentSource. A day of 23, 24 or 25 hours, by the hospital's zone."""
        first, after = (instant.astimezone(self._timezone).isoformat() for instant in day_bounds(day, self._timezone))
        return self._search({"date": [f"ge{first}", f"lt{after}"]})

    def updated_since(self, instant: datetime) -> Iterator[Page]:
        """See AppointmentSource."""
        return self._search({"_lastUpdated": f"ge{instant.astimezone(UTC).isoformat()}"})

    def appointment(self, appointment_id: str) -> SourceRow | None:
        """See AppointmentSource."""
        records = _Records()
        resource = self._read("Appointment", appointment_id)
        return None if resource is None else self._completed(read_appointment(resource), records)

    def patients(self, patient_id: str) -> tuple[SourcePatient, ...]:
        """See AppointmentSource."""
        return self._patients(patient_id, _Records())

    def _search(self, criteria: Mapping[str, Any]) -> Iterator[Page]:
        records, trail = _Records(), _Trail(self._page_limit)
        url: str | None = f"{self._http.base_url}/Appointment"
        params: dict[str, Any] | None = {**criteria, "_include": list(_INCLUDES), "_count": self._page_size}
        while url is not None:
            bundle = self._http.get(url, params=params, expected="Bundle")
            if bundle is None and params is None:
                raise SourceUnavailableError("the patient API forgot the search while its pages were fetched")
            if bundle is None:
                raise SourceAnswerError("the patient API has no Appointment search at its address (HTTP 404)")
            records.next_page()
            page = self._page(bundle, records)
            yield page
            url, params = self._next_url(bundle), None
            trail.refuse_endless(page, url)

    def _next_url(self, bundle: dict[str, Any]) -> str | None:
        """`link[next]` as it stands: it is opaque (http://hl7.org/fhir/R4/http.html#paging). Never to another host."""
        links = (link for link in members(bundle.get("link")) if link.get("relation") == "next")
        given = next((text(link.get("url")) for link in links), None)
        if given is None:
            return None
        url = urljoin(f"{self._http.base_url}/", given)
        if urlsplit(url)[:2] != urlsplit(self._http.base_url)[:2]:
            raise SourceAnswerError("the patient API's next page is on another host, which is not followed")
        return url

    def _page(self, bundle: dict[str, Any], records: _Records) -> Page:
        entries = bundle.get("entry") if isinstance(bundle.get("entry"), list) else []
        rows = []
        for entry in entries or []:
            resource = member(entry, "resource")
            kind = member(resource, "resourceType")
            if kind in {"Patient", "Location"}:
                records.known[kind, text(resource.get("id")) or ""] = resource
            elif kind == "Appointment":
                rows.append(read_appointment(resource))
            elif not isinstance(kind, str):
                # Something that should have been a resource: the gate rejects it, so that it is seen.
                rows.append(SourceRow(appointment_id=None))
        total = bundle.get("total")
        return Page(
            rows=tuple(self._completed(row, records) for row in rows),
            total=total if type(total) is int and total >= 0 else None,
        )

    def _completed(self, row: SourceRow, records: _Records) -> SourceRow:
        """The row with its venue's name and its patient, asked for by id where the page did not bring them."""
        location = None if row.location_id is None else self._record("Location", row.location_id, records)
        venue = row.venue if location is None else venue_name(location) or row.venue
        return replace(row, venue=venue, patients=self._patients(row.patient_id, records))

    def _patients(self, patient_id: str | None, records: _Records) -> tuple[SourcePatient, ...]:
        """A patient and the records that replaced it, one after the other (FHIR Patient.link, replaced-by)."""
        chain: list[SourcePatient] = []
        while patient_id is not None and len(chain) < _MERGE_CHAIN:
            resource = self._record("Patient", patient_id, records)
            if resource is None or any(known.id == patient_id for known in chain):
                break
            patient = read_patient(
                resource, patient_id=patient_id, timezone=self._timezone, default_region=self._default_region
            )
            chain.append(patient)
            patient_id = patient.merged_into
        return tuple(chain)

    def _record(self, kind: str, resource_id: str, records: _Records) -> dict[str, Any] | None:
        if (kind, resource_id) not in records.known:
            try:
                records.known[kind, resource_id] = self._read(kind, resource_id)
            except (SourceAnswerError, SourceUnavailableError) as error:
                # One record that cannot be read is the gate's business; it must not cost the page and all that follow.
                # Many that stay away are an outage, and waiting for each of them would take for ever.
                records.away += isinstance(error, SourceUnavailableError)
                if records.away > _RECORDS_AWAY:
                    raise
                _log.warning("%s %s could not be read: %s", kind, resource_id, error)
                records.known[kind, resource_id] = None
        return records.known[kind, resource_id]

    def _read(self, kind: str, resource_id: str) -> dict[str, Any] | None:
        if not _FHIR_ID.fullmatch(resource_id):
            return None
        return self._http.get(f"{self._http.base_url}/{kind}/{quote(resource_id, safe='')}", expected=kind)


def open_fhir_r4(
    settings: Settings,
    *,
    session: requests.Session,
    base_url: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> FhirR4Source:
    """The source as the settings have it. `base_url` is used where CARENOTIFY_PATIENT_API_URL is not set.

    Raises SourceAnswerError when neither says where the patient API is.
    """
    url = settings.patient_api_url or base_url
    if not url:
        raise SourceAnswerError("no patient API: set CARENOTIFY_PATIENT_API_URL or the connection patient_api")
    http = FhirHttp(
        base_url=url,
        session=session,
        timeout_seconds=settings.source_timeout_seconds,
        attempts=settings.source_attempts,
        sleep=sleep,
    )
    return FhirR4Source(http=http, timezone=settings.timezone, default_region=settings.default_region)
