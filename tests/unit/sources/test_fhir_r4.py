"""A FHIR server that fails, lies, changes shape or pages forever: what may pass is tried again, the rest is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carenotify.errors import SourceAnswerError, SourceError, SourceUnavailableError
from carenotify.sources.base import Page, SourceRow
from carenotify.sources.fhir_http import FhirHttp
from carenotify.sources.fhir_r4 import FhirR4Source
from tests.unit.sources.fhir_server import LOCATION, Answer, FhirServer, appointment, bundle, fhir_server, patient

DAY = date(2026, 11, 27)
BERLIN = ZoneInfo("Europe/Berlin")
SEARCH = "/fhir/Appointment"


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with fhir_server() as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def source(server: FhirServer, waits: list[float]) -> Iterator[FhirR4Source]:
    with requests.Session() as session:
        http = FhirHttp(base_url=server.url, session=session, timeout_seconds=5, attempts=3, sleep=waits.append)
        yield FhirR4Source(http=http, timezone=BERLIN, default_region="DE", page_limit=20)


def rows(pages: Iterator[Page]) -> list[SourceRow]:
    return [row for page in pages for row in page.rows]


def outcome(code: str) -> dict[str, Any]:
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "diagnostics": "secret of patient Anna"}],
    }


def test_a_page_becomes_rows_with_patient_and_venue(server: FhirServer, source: FhirR4Source) -> None:
    server.by_path[SEARCH] = Answer(bundle(appointment(), patient(), LOCATION, total=1))
    (page,) = source.appointments_on(DAY)
    (row,) = page.rows
    assert page.total == 1
    assert (row.appointment_id, row.patient_id, row.location_id, row.venue) == ("a1", "p1", "l1", "Building 2")
    assert (row.start, row.status, row.patients[0].given_name) == ("2026-11-27T10:00:00+01:00", "booked", "Anna")
    assert "clinical secret" not in json.dumps(row.as_dict())
    assert SourceRow.from_dict(json.loads(json.dumps(row.as_dict()))) == row


@pytest.mark.parametrize(
    ("day", "first", "after"),
    [
        (date(2026, 3, 29), "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        (date(2026, 10, 25), "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
    ],
)
def test_a_day_is_the_hospitals_also_when_the_clocks_change(
    server: FhirServer, source: FhirR4Source, day: date, first: str, after: str
) -> None:
    server.by_path[SEARCH] = Answer(bundle())
    assert rows(source.appointments_on(day)) == []
    query = parse_qs(urlsplit(server.asked[0]).query)
    assert query["date"] == [f"ge{first}", f"lt{after}"]
    assert query["_include"] == ["Appointment:patient", "Appointment:location"]


def test_changes_are_searched_by_last_update(server: FhirServer, source: FhirR4Source) -> None:
    server.by_path[SEARCH] = Answer(bundle())
    assert rows(source.updated_since(datetime(2026, 11, 24, 8, 30, tzinfo=UTC))) == []
    assert parse_qs(urlsplit(server.asked[0]).query)["_lastUpdated"] == ["ge2026-11-24T08:30:00+00:00"]


@pytest.mark.parametrize("link", ["{base}?_getpages=x%2Fy&_page=1", "?_getpages=x%2Fy&_page=1"])
def test_the_next_link_is_followed_as_it_stands(server: FhirServer, source: FhirR4Source, link: str) -> None:
    server.by_path[SEARCH] = Answer(
        bundle(appointment("a1"), patient(), LOCATION, next_url=link.format(base=server.url))
    )
    second = Answer(bundle(appointment("a2")))
    server.by_path["/fhir?_getpages=x%2Fy&_page=1"] = server.by_path["/fhir/?_getpages=x%2Fy&_page=1"] = second
    assert [row.appointment_id for row in rows(source.appointments_on(DAY))] == ["a1", "a2"]


def test_what_the_page_did_not_include_is_asked_for_once(server: FhirServer, source: FhirR4Source) -> None:
    server.by_path[SEARCH] = Answer(bundle(appointment("a1"), appointment("a2")))
    server.by_path["/fhir/Patient/p1"] = Answer(patient())
    server.by_path["/fhir/Location/l1"] = Answer(LOCATION)
    assert [row.patients[0].id for row in rows(source.appointments_on(DAY))] == ["p1", "p1"]
    assert server.asked[1:] == ["/fhir/Location/l1", "/fhir/Patient/p1"]


def test_unknown_patient_and_location_leave_the_row_to_the_gate(server: FhirServer, source: FhirR4Source) -> None:
    server.by_path[SEARCH] = Answer(bundle(appointment(patient_id="nobody")))
    (row,) = rows(source.appointments_on(DAY))
    assert (row.patient_id, row.patients, row.venue) == ("nobody", (), "Old name")


def test_one_patient_that_always_fails_costs_no_page(server: FhirServer, source: FhirR4Source) -> None:
    first, second = appointment("a1", patient_id="broken"), appointment("a2")
    server.by_path[SEARCH] = Answer(bundle(first, second, patient(), LOCATION, next_url=f"{server.url}?page=2"))
    server.by_path["/fhir?page=2"] = Answer(bundle(appointment("a3"), patient(), LOCATION))
    server.by_path["/fhir/Patient/broken"] = Answer(outcome("exception"), 500)
    found = [(row.appointment_id, len(row.patients)) for row in rows(source.appointments_on(DAY))]
    assert found == [("a1", 0), ("a2", 1), ("a3", 1)]


def test_many_patients_that_stay_away_are_an_outage(server: FhirServer, source: FhirR4Source) -> None:
    server.by_path[SEARCH] = Answer(bundle(*(appointment(f"a{n}", patient_id=f"p{n}") for n in range(11)), LOCATION))
    server.by_path |= {f"/fhir/Patient/p{n}": Answer(outcome("exception"), 500) for n in range(11)}
    with pytest.raises(SourceUnavailableError):
        rows(source.appointments_on(DAY))


def test_a_patient_is_read_as_each_page_brings_it(server: FhirServer, source: FhirR4Source) -> None:
    server.by_path[SEARCH] = Answer(bundle(appointment("a1"), patient(), LOCATION, next_url=f"{server.url}?page=2"))
    server.by_path["/fhir?page=2"] = Answer(bundle(appointment("a2")))
    server.by_path["/fhir/Patient/p1"] = Answer(patient())
    assert [row.patients[0].id for row in rows(source.appointments_on(DAY))] == ["p1", "p1"]
    assert server.asked[2:] == ["/fhir/Patient/p1"]


def test_merged_patients_are_followed_to_the_surviving_record(server: FhirServer, source: FhirR4Source) -> None:
    link = [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}]
    loop = [{"type": "replaced-by", "other": {"reference": "Patient/p1"}}]
    server.by_path[SEARCH] = Answer(bundle(appointment(), patient(link=link), LOCATION))
    server.by_path["/fhir/Patient/p2"] = Answer(patient("p2", link=loop))
    (row,) = rows(source.appointments_on(DAY))
    assert [(record.id, record.merged_into) for record in row.patients] == [("p1", "p2"), ("p2", "p1")]


PASSING = [
    Answer({}, 500),
    Answer("<html>bad gateway</html>", 502, "text/html"),
    Answer(outcome("transient"), 503),
    Answer(outcome("throttled"), 429),
    Answer(None),
    Answer('{"resourceType": "Bundle", "entry": [{"resou'),
    Answer({"data": []}),
    Answer(outcome("lock-error")),
    Answer(outcome("timeout"), 400),
]


@pytest.mark.parametrize("failure", PASSING)
def test_what_may_pass_is_tried_again(
    server: FhirServer, source: FhirR4Source, waits: list[float], failure: Answer
) -> None:
    server.script.extend([failure, failure, Answer(bundle(appointment(), patient(), LOCATION))])
    assert len(rows(source.appointments_on(DAY))) == 1
    assert len(waits) == 2


def test_retry_after_is_honoured_up_to_a_bound(server: FhirServer, source: FhirR4Source, waits: list[float]) -> None:
    server.script.append(Answer(outcome("throttled"), 429, headers={"Retry-After": "7"}))
    server.script.append(Answer(outcome("transient"), 503, headers={"Retry-After": "86400"}))
    server.script.append(Answer(bundle()))
    assert rows(source.appointments_on(DAY)) == []
    assert 7 <= waits[0] < 8
    assert 30 <= waits[1] < 31


@pytest.mark.parametrize("failure", PASSING[:6])
def test_what_stays_away_is_unavailable(server: FhirServer, source: FhirR4Source, failure: Answer) -> None:
    server.script.extend([failure] * 3)
    with pytest.raises(SourceUnavailableError):
        rows(source.appointments_on(DAY))
    assert len(server.asked) == 3


def test_an_api_that_is_down_is_unavailable(source: FhirR4Source) -> None:
    with requests.Session() as session:
        http = FhirHttp(
            base_url="http://127.0.0.1:9", session=session, timeout_seconds=1, attempts=2, sleep=lambda _: None
        )
        down = FhirR4Source(http=http, timezone=BERLIN, default_region="DE")
        with pytest.raises(SourceUnavailableError, match=r"127\.0\.0\.1:9 could not be reached \(ConnectionError\)"):
            rows(down.appointments_on(DAY))


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (Answer("<html>Anna, log in</html>", 200, "text/html; charset=utf-8"), "HTTP 200, text/html"),
        (Answer({"data": ["Anna"]}), "HTTP 200, application/fhir.json, resourceType unknown"),
        (Answer({"resourceType": "Parameters", "name": "Anna"}), "resourceType Parameters"),
        (Answer(["Anna"]), "HTTP 200, application/fhir.json"),
        (Answer(outcome("security"), 401), r"refused with HTTP 401.* \(security\)"),
        (Answer(outcome("invalid"), 400), r"refused with HTTP 400.* \(invalid\)"),
        (Answer("", 302, "text/html", {"Location": "http://127.0.0.1:9/login"}), "HTTP 302"),
        (Answer(outcome("not-found"), 404), "no Appointment search"),
    ],
)
def test_another_answer_for_good_is_named_without_its_contents(
    server: FhirServer, source: FhirR4Source, answer: Answer, named: str
) -> None:
    server.by_path[SEARCH] = answer
    with pytest.raises(SourceAnswerError, match=named) as caught:
        rows(source.appointments_on(DAY))
    chain = [
        caught.value,
        caught.value.__cause__,
        None if caught.value.__suppress_context__ else caught.value.__context__,
    ]
    assert not any("Anna" in str(error) for error in chain)


def test_a_next_link_met_before_is_found_out(server: FhirServer, source: FhirR4Source) -> None:
    server.by_path[SEARCH] = Answer(bundle(next_url=f"{server.url}?page=2"))
    server.by_path["/fhir"] = Answer(bundle(next_url=f"{server.url}?page=2"))
    with pytest.raises(SourceAnswerError, match="pages forever: stopped after 2 pages"):
        rows(source.appointments_on(DAY))


@pytest.mark.parametrize(("new_rows", "pages"), [(False, 11), (True, 20)])
def test_endless_pages_are_found_out_when_every_link_is_new(
    server: FhirServer, source: FhirR4Source, new_rows: bool, pages: int
) -> None:
    for number in range(60):
        found = appointment(f"a{number if new_rows else 0}")
        page = Answer(bundle(found, patient(), LOCATION, next_url=f"{server.url}?page={number + 1}"))
        server.by_path[f"/fhir?page={number}" if number else SEARCH] = page
    with pytest.raises(SourceAnswerError, match=f"pages forever: stopped after {pages} pages"):
        rows(source.appointments_on(DAY))


def test_a_next_link_to_another_host_is_not_followed(server: FhirServer, source: FhirR4Source) -> None:
    server.by_path[SEARCH] = Answer(bundle(next_url="http://elsewhere.example/fhir?page=2"))
    with pytest.raises(SourceAnswerError, match="another host"):
        rows(source.appointments_on(DAY))


def test_pages_before_a_failure_stay_good(server: FhirServer, source: FhirR4Source) -> None:
    server.by_path[SEARCH] = Answer(bundle(appointment(), patient(), LOCATION, next_url=f"{server.url}?page=2"))
    server.by_path["/fhir?page=2"] = Answer(outcome("transient"), 503)
    pages = source.appointments_on(DAY)
    assert [row.appointment_id for row in next(pages).rows] == ["a1"]
    with pytest.raises(SourceUnavailableError):
        next(pages)


def test_a_search_that_the_server_forgot_can_be_started_again(server: FhirServer, source: FhirR4Source) -> None:
    server.by_path[SEARCH] = Answer(bundle(next_url=f"{server.url}?page=2"))
    server.by_path["/fhir?page=2"] = Answer(outcome("not-found"), 410)
    with pytest.raises(SourceUnavailableError, match="forgot the search"):
        rows(source.appointments_on(DAY))


@pytest.mark.parametrize("status", [404, 410])
def test_an_appointment_that_is_gone_is_none(server: FhirServer, source: FhirR4Source, status: int) -> None:
    server.by_path["/fhir/Appointment/a1"] = Answer(outcome("deleted"), status)
    assert source.appointment("a1") is None


def test_one_appointment_by_id_comes_with_its_patient(server: FhirServer, source: FhirR4Source) -> None:
    server.by_path["/fhir/Appointment/a1"] = Answer(appointment())
    server.by_path["/fhir/Patient/p1"] = Answer(patient())
    row = source.appointment("a1")
    assert row is not None
    assert [record.id for record in row.patients] == ["p1"]


def test_an_id_that_is_no_id_is_never_put_into_a_url(server: FhirServer, source: FhirR4Source) -> None:
    assert source.appointment("../Patient/p1") is None
    assert server.asked == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = (
    "id",
    "status",
    "start",
    "end",
    "participant",
    "meta",
    "name",
    "telecom",
    "communication",
    "link",
    "deceasedBoolean",
)
mangled = st.dictionaries(st.sampled_from(fields), json_values, max_size=4)
telecoms = st.lists(
    st.dictionaries(
        st.sampled_from(("system", "value", "use", "rank", "period")),
        json_values
        | st.sampled_from(("phone", "email", "mobile", "old", "+49151", {"start": "2020"}, {"end": "2020-05"})),
    ),
    max_size=3,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(resource=json_values, broken=mangled, person=mangled, telecom=telecoms)
def test_whatever_stands_in_place_of_a_resource_becomes_a_row_or_our_error(
    server: FhirServer, source: FhirR4Source, resource: Any, broken: Any, person: Any, telecom: Any
) -> None:
    content = bundle(
        resource, appointment() | broken, patient(telecom=telecom) | person, patient("p1") | person, LOCATION
    )
    server.by_path[SEARCH] = Answer(content)
    try:
        found = rows(source.appointments_on(DAY))
    except SourceError:
        return
    assert len(found) >= 1
    for row in found:
        assert SourceRow.from_dict(json.loads(json.dumps(row.as_dict()))) == row
