"""The sandbox's patient API over HTTP: whole without faults, and broken in every way with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from carenotify.sandbox.faults import FHIR_FAULTS
from carenotify.sandbox.server import SandboxServer

DAY = date(2026, 11, 24)
BERLIN = ZoneInfo("Europe/Berlin")
ON_THE_DAY = {"date": ["ge2026-11-24", "lt2026-11-25"]}
INCLUDES = {"_include": ["Appointment:patient", "Appointment:location"]}


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(reminder_day=DAY, timezone=BERLIN, appointments=120) as running:
        yield running


@pytest.fixture
def client() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def get(client: requests.Session, url: str, **parameters: Any) -> requests.Response:
    return client.get(url, params=parameters, timeout=5)


def next_url(bundle: dict[str, Any]) -> str | None:
    return {link["relation"]: link["url"] for link in bundle["link"]}.get("next")


def pages(client: requests.Session, server: SandboxServer, **parameters: Any) -> Iterator[dict[str, Any]]:
    bundle = get(client, server.fhir_url + "/Appointment", **parameters).json()
    while True:
        yield bundle
        url = next_url(bundle)
        if url is None:
            return
        bundle = get(client, url).json()


def ids(bundles: Iterator[dict[str, Any]], mode: str = "match") -> list[str]:
    return [e["resource"]["id"] for bundle in bundles for e in bundle["entry"] if e["search"]["mode"] == mode]


def test_pages_together_are_the_day_each_row_once(server: SandboxServer, client: requests.Session) -> None:
    found = ids(pages(client, server, **ON_THE_DAY, _count=7))
    assert Counter(found) == Counter(key for key, _ in server.hospital.rows_of(DAY))


def test_pages_stay_as_they_were_when_rows_move_meanwhile(server: SandboxServer, client: requests.Session) -> None:
    walk = pages(client, server, **ON_THE_DAY, _count=50)
    first = ids(iter([next(walk)]))
    server.hospital.change(first[0], datetime.now(UTC), start="2026-11-24T23:55:00+01:00")
    assert sorted(first + ids(walk)) == sorted(key for key, _ in server.hospital.rows_of(DAY))


def test_patients_and_places_of_a_page_come_with_it(server: SandboxServer, client: requests.Session) -> None:
    for bundle in pages(client, server, **ON_THE_DAY, **INCLUDES, _count=40):
        matches = ids(iter([bundle]))
        patients = {server.hospital.rows[key].patient_id for key in matches} & server.hospital.patients.keys()
        companions = ids(iter([bundle]), "include")
        assert patients == {key for key in companions if key.startswith("pat-")}
        assert len(companions) == len(set(companions))


def test_every_third_page_repeats_a_row_when_the_api_fails(server: SandboxServer, client: requests.Session) -> None:
    server.faults.fail_share = 1e-9
    found = Counter(ids(pages(client, server, **ON_THE_DAY, _count=20)))
    assert len(found) == 120
    assert sorted(found.values())[-3:] == [1, 2, 2]


def test_a_search_by_last_change_finds_what_changed(server: SandboxServer, client: requests.Session) -> None:
    since = datetime.now(UTC)
    key = next(iter(server.hospital.rows))
    server.hospital.change(key, since + timedelta(seconds=1), status="cancelled")
    assert ids(pages(client, server, _lastUpdated="ge" + since.isoformat())) == [key]
    assert len(ids(pages(client, server, _lastUpdated="lt" + since.isoformat(), _count=500))) == 131


def test_instants_can_be_searched_as_well_as_days(server: SandboxServer, client: requests.Session) -> None:
    found = ids(pages(client, server, date=["ge2026-11-23T23:00:00Z", "lt2026-11-24T23:00:00Z"], _count=500))
    assert len(found) == 120


@pytest.mark.parametrize("parameters", [{"date": "getomorrow"}, {"_count": "many"}, {"_count": "0"}, {"dat": "2026"}])
def test_a_search_that_makes_no_sense_is_refused(
    server: SandboxServer, client: requests.Session, parameters: dict[str, str]
) -> None:
    answer = get(client, server.fhir_url + "/Appointment", **parameters)
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_single_resources_are_found_unknown_ones_are_404_deleted_ones_410(
    server: SandboxServer, client: requests.Session
) -> None:
    key, row = next(iter(server.hospital.rows.items()))
    assert get(client, f"{server.fhir_url}/Appointment/{key}").json() == row.resource
    assert get(client, f"{server.fhir_url}/Patient/pat-000001").json()["resourceType"] == "Patient"
    assert get(client, f"{server.fhir_url}/Location/loc-01").json()["resourceType"] == "Location"
    assert get(client, f"{server.fhir_url}/Appointment/apt-nowhere").status_code == 404
    client.post(f"{server.url}/hospital/appointments/{key}", json={"delete": True}, timeout=5)
    assert get(client, f"{server.fhir_url}/Appointment/{key}").status_code == 410
    assert key not in ids(pages(client, server, _count=500))


def seen_as(answer: requests.Response) -> str:
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.headers['Content-Type'].partition(';')[0]}"
    return str(answer.json().get("resourceType"))


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("500", "500 application/fhir+json"),
        ("502-html", "502 text/html"),
        ("503-retry-after", "503 application/fhir+json"),
        ("429-retry-after", "429 application/fhir+json"),
        ("other-shape", "None"),
        ("operation-outcome", "OperationOutcome"),
    ],
)
def test_failures_that_are_answered(server: SandboxServer, client: requests.Session, kind: str, seen: str) -> None:
    server.faults.script("fhir", kind)
    answer = get(client, server.fhir_url + "/Appointment", **ON_THE_DAY)
    assert seen_as(answer) == seen
    assert answer.headers.get("Retry-After") == ("1" if "retry-after" in kind else None)
    assert get(client, server.url + "/stats").json()["by_kind"] == {f"fhir:{kind}": 1}


def test_failures_that_are_not_answered(server: SandboxServer, client: requests.Session) -> None:
    url = server.fhir_url + "/Appointment"
    server.faults.script("fhir", "cut", "truncated-json")
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        get(client, url, **ON_THE_DAY)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        get(client, url, **ON_THE_DAY).json()
    server.faults.script("fhir", "timeout")
    with pytest.raises(requests.ReadTimeout):
        client.get(url, params=ON_THE_DAY, timeout=0.3)


def test_each_kind_of_fault_is_covered_above() -> None:
    answered = {"500", "502-html", "503-retry-after", "429-retry-after", "other-shape", "operation-outcome"}
    assert set(FHIR_FAULTS) == answered | {"cut", "truncated-json", "timeout"}


def test_a_row_is_left_out_only_after_it_was_served_once(server: SandboxServer, client: requests.Session) -> None:
    server.faults.script("page", "missing-entry", "missing-entry")
    first = set(ids(pages(client, server, **ON_THE_DAY, _count=500)))
    assert len(first) == 120
    second = set(ids(pages(client, server, **ON_THE_DAY, _count=500)))
    (left_out,) = first - second
    assert get(client, f"{server.fhir_url}/Appointment/{left_out}").status_code == 200


def test_rows_come_twice_on_a_page(server: SandboxServer, client: requests.Session) -> None:
    server.faults.script("page", "duplicate-entries")
    found = Counter(ids(pages(client, server, **ON_THE_DAY, _count=500)))
    assert len(found) == 120
    assert found.total() == 123


@pytest.mark.parametrize(("mode", "status"), [("down", 503), ("html", 200), ("other-shape", 200)])
def test_standing_modes(server: SandboxServer, client: requests.Session, mode: str, status: int) -> None:
    assert client.post(server.url + "/faults", json={"mode": mode}, timeout=5).status_code == 200
    answers = [get(client, server.fhir_url + "/Appointment") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {status}
    assert all(mode != "html" or "<html>" in answer.text for answer in answers)
    client.post(server.url + "/faults", json={"mode": "ok"}, timeout=5)
    assert seen_as(get(client, server.fhir_url + "/Appointment")) == "Bundle"


def test_endless_pages_never_end(server: SandboxServer, client: requests.Session) -> None:
    server.faults.mode = "endless-pages"
    walk = pages(client, server, **ON_THE_DAY, _count=50)
    assert len({next_url(next(walk)) for _ in range(12)}) == 12


def test_wrong_faults_are_explained(server: SandboxServer, client: requests.Session) -> None:
    answer = client.post(server.url + "/faults", json={"fail_share": 7}, timeout=5)
    assert answer.status_code == 400
    assert "fail_share" in answer.json()["error"]


def test_an_appointment_can_be_moved_cancelled_and_given_another_place(
    server: SandboxServer, client: requests.Session
) -> None:
    key = server.hospital.cases["sms_only"][0]
    url = f"{server.url}/hospital/appointments/{key}"
    wanted = {"start": "2026-11-30T10:00:00+01:00", "location": "loc-03"}
    moved = client.post(url, json=wanted, timeout=5).json()
    assert moved["meta"]["versionId"] == "2"
    assert moved["participant"][3]["actor"]["reference"] == "Location/loc-03"
    assert key in ids(pages(client, server, date="2026-11-30", _count=500))
    assert client.post(url, json={"status": "cancelled"}, timeout=5).json()["status"] == "cancelled"
    assert client.post(url, json={"colour": "red"}, timeout=5).status_code == 400
    assert client.post(url + "0", json={"status": "booked"}, timeout=5).status_code == 404


def test_a_building_can_be_renamed(server: SandboxServer, client: requests.Session) -> None:
    client.post(f"{server.url}/hospital/locations/loc-01", json={"name": "Nordflügel"}, timeout=5)
    assert get(client, f"{server.fhir_url}/Location/loc-01").json()["name"] == "Nordflügel"


def test_the_truth_and_the_preferences_can_be_fetched(server: SandboxServer, client: requests.Session) -> None:
    truth = get(client, server.url + "/hospital/expected").json()
    assert set(truth["told"]) == server.hospital.expected().told
    assert set(truth["with_two_addresses"]) == server.hospital.expected().with_two_addresses
    assert truth["reachable"] == truth["told"]
    server.faults.set({"dead_share": 1})
    assert get(client, server.url + "/hospital/expected").json()["reachable"] == []
    assert truth["skipped"] == server.hospital.expected().skipped
    listed = get(client, server.url + "/hospital/preferences.csv")
    assert listed.headers["Content-Type"].startswith("text/csv")
    assert listed.text.startswith("patient_id,channels,language,opted_out_channels,opted_out_kinds\n")
    assert get(client, server.fhir_url + "/metadata").json()["fhirVersion"] == "4.0.1"
    assert get(client, server.url + "/health").json()["status"] == "ok"
