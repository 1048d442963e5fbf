"""The whole load in one go, over HTTP from a patient API with faults to committed rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import requests

from carenotify.app import App
from carenotify.errors import SourceAnswerError, SourceUnavailableError
from carenotify.journeys.ingest_appointments import ingest_appointments
from carenotify.sandbox.server import SandboxServer
from carenotify.sources.base import AppointmentSource, Page
from carenotify.sources.fhir_r4 import open_fhir_r4
from tests.integration.loading import DAY, ScriptedSource, make_row
from tests.integration.ward import SetClock

TOMORROW = DAY + timedelta(days=1)
AWAY = SourceUnavailableError("the patient API answered HTTP 503")


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(reminder_day=DAY, timezone=ZoneInfo("Europe/Berlin"), appointments=200) as server:
        server.faults.set({"hang_seconds": 0.5, "retry_after_seconds": 0})
        yield server


def ingest(app: App, source: AppointmentSource, docs: Path, *, days: int = 1, run_id: str = "r1") -> dict[str, int]:
    settings = app.settings.model_copy(update={"data_docs_path": str(docs), "max_bad_share": 0.2})
    return ingest_appointments(
        app.database,
        source,
        settings=settings,
        run_id=run_id,
        first_day=DAY,
        days=days,
        acceptor=app.event_acceptor,
        clock=app.clock,
    )


def open_source(app: App, sandbox: SandboxServer, session: requests.Session) -> AppointmentSource:
    settings = app.settings.model_copy(
        update={"patient_api_url": sandbox.fhir_url, "source_timeout_seconds": 0.3, "source_attempts": 20}
    )
    return open_fhir_r4(settings, session=session, sleep=lambda _: None)


def appointment_ids(app: App) -> set[str]:
    with app.database.transaction() as transaction:
        return {row[0] for row in transaction.execute("SELECT id FROM appointments")}


def statuses(app: App) -> list[tuple[str, list[date]]]:
    with app.database.transaction() as transaction:
        found = transaction.execute("SELECT status, complete_days FROM ingest_runs ORDER BY started_at").fetchall()
    return [(status, days) for status, days in found]


@pytest.mark.parametrize("fail_share", [0.0, 0.3])
def test_every_good_row_of_a_day_arrives_however_the_api_fails(
    app: App, sandbox: SandboxServer, tmp_path: Path, fail_share: float
) -> None:
    sandbox.faults.set({"fail_share": fail_share})
    with requests.Session() as session:
        source = open_source(app, sandbox, session)
        ingest(app, source, tmp_path)
        bad = set(sandbox.hospital.expected().quarantined)
        served = {key for key, row in sandbox.hospital.rows_of(DAY) if "start" in row.resource}
        assert appointment_ids(app) == served - bad
        assert statuses(app) == [("loaded", [DAY])]


def test_pages_without_end_are_found_out_and_nothing_is_believed_whole(
    app: App, sandbox: SandboxServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.set({"mode": "endless-pages"})
    with requests.Session() as session:
        ingest(app, open_source(app, sandbox, session), tmp_path)
    assert statuses(app) == [("loaded", [])]
    assert "pages forever" in caplog.text
    assert "days that did not come whole: 2026-11-27" in caplog.text


@pytest.mark.parametrize(("mode", "error"), [("html", SourceAnswerError), ("down", SourceUnavailableError)])
def test_an_api_that_is_no_use_fails_the_load_and_the_last_good_copy_stays(
    app: App,
    sandbox: SandboxServer,
    tmp_path: Path,
    clock: SetClock,
    mode: str,
    error: type[Exception],
) -> None:
    with requests.Session() as session:
        source = open_source(app, sandbox, session)
        ingest(app, source, tmp_path)
        before = appointment_ids(app)
        clock.advance(minutes=30)
        sandbox.faults.set({"mode": mode})
        with pytest.raises(error):
            ingest(app, source, tmp_path, run_id="r2")
    assert appointment_ids(app) == before
    assert [status for status, _ in statuses(app)] == ["loaded", "failed"]


def test_a_change_in_the_hospital_is_seen_by_the_next_load(
    app: App, sandbox: SandboxServer, tmp_path: Path, clock: SetClock
) -> None:
    with requests.Session() as session:
        source = open_source(app, sandbox, session)
        ingest(app, source, tmp_path)
        clock.advance(minutes=30)
        moved, removed = sorted(
            key
            for key, row in sandbox.hospital.rows_of(DAY)
            if row.reason is None and row.resource["status"] == "booked"
        )[:2]
        sandbox.hospital.change(moved, datetime.now(UTC), start="2027-02-01T10:00:00+01:00")
        sandbox.hospital.rows[removed].deleted = True
        counts = ingest(app, source, tmp_path, run_id="r2")
    assert (counts["changed"], counts["gone"]) == (2, 1)
    with app.database.transaction() as transaction:
        found = transaction.execute("SELECT start_at FROM appointments WHERE id = %s", (moved,)).fetchone()
    assert found == (datetime(2027, 2, 1, 9, tzinfo=UTC),)


def test_a_bad_day_does_not_stop_the_others(app: App, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = ScriptedSource()
    source.days = {DAY: [AWAY], TOMORROW: [Page((make_row("b1", start="2026-11-28T10:00:00+01:00", end=None),))]}
    assert ingest(app, source, tmp_path, days=2)["new"] == 1
    assert statuses(app) == [("loaded", [TOMORROW])]
    assert "days that did not come whole: 2026-11-27" in caplog.text


def test_a_load_goes_on_without_changes_on_other_days(app: App, tmp_path: Path, clock: SetClock) -> None:
    source = ScriptedSource()
    source.says(make_row("a1"))
    ingest(app, source, tmp_path)
    clock.advance(minutes=30)
    source.updates = [AWAY]
    assert ingest(app, source, tmp_path, run_id="r2")["unchanged"] == 1
