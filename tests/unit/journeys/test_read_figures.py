"""Whoever asks for figures waits for a database that hangs, or is away, no longer than is worth it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from carenotify.domain.figures import PatientDays
from carenotify.errors import DatabaseUnavailableError
from carenotify.journeys import read_figures
from carenotify.journeys.read_figures import FigureReader
from tests.integration.ward import SetClock, make_settings, wait_for

PATIENCE = 0.3


class PaperDatabase:
    """One that is away, or hangs until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.hangs = False
        self.let_go = threading.Event()

    @contextmanager
    def transaction(self, **_: object) -> Iterator[None]:
        self.asked += 1
        if self.hangs:
            assert self.let_go.wait(20)
        raise DatabaseUnavailableError("the database cannot be used just now")
        yield


class SetTimer:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_figures, "_PATIENCE_SECONDS", PATIENCE)
    monkeypatch.setattr(read_figures, "_PATIENCE_AFTER_FAILURE_SECONDS", 0.0)


@pytest.fixture
def database() -> Iterator[PaperDatabase]:
    database = PaperDatabase()
    yield database
    database.let_go.set()


@pytest.fixture
def timer() -> SetTimer:
    return SetTimer()


@pytest.fixture
def reader(database: PaperDatabase, timer: SetTimer) -> FigureReader:
    settings = make_settings("postgresql://127.0.0.1:1/none")
    return FigureReader(database, settings, SetClock(), timer=timer)  # type: ignore[arg-type]


def seconds_of(reader: FigureReader, *, patient_days: bool = False) -> float:
    begun = time.monotonic()
    reading = reader.read(patient_days=patient_days)
    assert (reading.figures, reading.patient_days) == (None, None)
    return time.monotonic() - begun


def test_a_database_that_hangs_is_waited_for_once_and_then_not_at_all(
    reader: FigureReader, database: PaperDatabase, timer: SetTimer
) -> None:
    database.hangs = True
    assert PATIENCE * 0.9 <= seconds_of(reader, patient_days=True) < PATIENCE * 3
    timer.now += 100
    assert seconds_of(reader) < PATIENCE / 2
    assert database.asked == 2  # for figures and for patient-days, and not once more while they hang


def test_a_database_that_is_away_is_asked_again_only_when_what_is_known_is_old(
    reader: FigureReader, database: PaperDatabase, timer: SetTimer
) -> None:
    for _ in range(5):
        seconds_of(reader)
    assert database.asked == 1
    timer.now += 5.0
    seconds_of(reader)
    wait_for(lambda: database.asked == 2)


def test_many_who_ask_at_once_wait_for_one_answer(reader: FigureReader, database: PaperDatabase) -> None:
    database.hangs = True
    asking = [threading.Thread(target=seconds_of, args=(reader,)) for _ in range(8)]
    for thread in asking:
        thread.start()
    wait_for(lambda: database.asked > 0)
    database.let_go.set()
    for thread in asking:
        thread.join(20)
    assert database.asked == 1


def test_that_it_is_away_is_said_once(
    reader: FigureReader, timer: SetTimer, database: PaperDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        seconds_of(reader)
        timer.now += 5.0
    wait_for(lambda: database.asked == 3)
    assert [record.message for record in caplog.records] == [
        "figures for monitoring cannot be read: the database cannot be used just now"
    ]


def test_patient_days_are_read_anew_in_the_background(
    reader: FigureReader, timer: SetTimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, let_go = [PatientDays(9, 9), PatientDays(9, 1)], threading.Event()

    def find() -> PatientDays:
        if len(found) < 2:
            assert let_go.wait(20)
        return found.pop()

    monkeypatch.setattr(reader._days, "_find", find)
    monkeypatch.setattr(reader._figures, "_find", lambda: "figures")
    assert reader.read(patient_days=True).patient_days == PatientDays(9, 1)
    timer.now += 61
    begun = time.monotonic()
    assert reader.read(patient_days=True).patient_days == PatientDays(9, 1)
    assert time.monotonic() - begun < PATIENCE
    let_go.set()
    wait_for(lambda: reader.read(patient_days=True).patient_days == PatientDays(9, 9))


def test_a_closed_reader_asks_nobody(reader: FigureReader, database: PaperDatabase) -> None:
    reader.close()
    seconds_of(reader)
    assert database.asked == 0
