"""A FHIR R4 Patient, reduced to who is told, in which language, and at which addresses."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fhir.resources.R4B.period import Period
from pydantic import ValidationError

from carenotify.sources.base import SourceContact, SourcePatient
from carenotify.sources.fhir_fields import member, members, reference_id, text
from carenotify.sources.phones import read_phone

_SYSTEMS = {"phone": "phone", "sms": "phone", "email": "email"}
_USES = {"home", "work", "mobile", "temp", "old"}
# Which of a patient's names to greet by: http://hl7.org/fhir/R4/valueset-name-use.html
_NAME_ORDER = {"usual": 0, "official": 1, None: 2, "nickname": 3, "temp": 4, "maiden": 5, "anonymous": 6, "old": 7}


def read_patient(
    resource: dict[str, Any], *, patient_id: str, timezone: ZoneInfo, default_region: str
) -> SourcePatient:
    """Read a Patient resource; what cannot be read is left out, except addresses, which the gate names."""
    contacts = (_contact(telecom, timezone, default_region) for telecom in members(resource.get("telecom")))
    return SourcePatient(
        id=patient_id,
        given_name=_given_name(resource),
        language=_language(resource),
        contacts=tuple(contact for contact in contacts if contact is not None),
        deceased=_deceased(resource),
        merged_into=_replaced_by(resource),
    )


def _given_name(resource: dict[str, Any]) -> str | None:
    named = [name for name in members(resource.get("name")) if isinstance(name.get("given"), list)]
    for name in sorted(named, key=lambda name: _NAME_ORDER.get(text(name.get("use")), 8)):
        given = [part for part in map(text, name["given"]) if part]
        if given:
            return given[0]
    return None


def _language(resource: dict[str, Any]) -> str | None:
    spoken = list(members(resource.get("communication")))
    best = next((entry for entry in spoken if entry.get("preferred") is True), spoken[0] if spoken else None)
    codes = (text(coding.get("code")) for coding in members(member(best, "language", "coding")))
    return next((code for code in codes if code), None)


def _deceased(resource: dict[str, Any]) -> bool:
    """Either form of `deceased[x]`. What cannot be read counts as yes: better silent than writing to the bereaved."""
    if resource.get("deceasedDateTime") is not None:
        return True
    flag = resource.get("deceasedBoolean")
    return flag is not None and flag is not False and text(flag) != "false"


def _replaced_by(resource: dict[str, Any]) -> str | None:
    links = (link for link in members(resource.get("link")) if link.get("type") == "replaced-by")
    return next((found for link in links if (found := reference_id(link.get("other"), "Patient"))), None)


def _contact(telecom: dict[str, Any], timezone: ZoneInfo, default_region: str) -> SourceContact | None:
    given_system, given = text(telecom.get("system")), text(telecom.get("value"))
    system = _SYSTEMS.get(given_system or "")
    if system is None or given is None:
        return None
    number = read_phone(given, default_region) if system == "phone" else None
    use, rank, period = text(telecom.get("use")), telecom.get("rank"), telecom.get("period")
    return SourceContact(
        system=system,
        value=number[0] if number else given,
        use=use if use in _USES else None,
        rank=rank if type(rank) is int and rank > 0 else None,
        textable=number is not None and (number[1] or given_system == "sms"),
        valid_from=_day(member(period, "start"), timezone, last=False),
        valid_until=_day(member(period, "end"), timezone, last=True),
    )


def _day(value: object, timezone: ZoneInfo, *, last: bool) -> str | None:
    """A FHIR dateTime as a local day in ISO form; the text as given when it is no date, for the gate to name.

    A year or a month means its first day, or its last one (http://hl7.org/fhir/R4/datatypes.html#Period).
    """
    given = text(value)
    if given is None:
        return None
    try:
        read: object = Period.model_validate({"start": given}).start
    except ValidationError:
        return given
    if isinstance(read, datetime):
        return read.astimezone(timezone).date().isoformat()
    return read.isoformat() if isinstance(read, date) else _day_of_partial(given, last=last)


def _day_of_partial(given: str, *, last: bool) -> str:
    year, month = int(given[:4]), int(given[5:7]) if len(given) > 4 else (12 if last else 1)
    return date(year, month, monthrange(year, month)[1] if last else 1).isoformat()
