"""A month's days are counted once: settled ones are kept, for every process, and those that still change are not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest

from carenotify.app import App, build_app
from carenotify.errors import DatabaseUnavailableError
from carenotify.journeys.report_delivery import report_delivery
from carenotify.journeys.report_month import MonthDay, MonthReport
from carenotify.storage import settled_days
from carenotify.storage.settled_days import DayFigures
from carenotify.worker import __main__ as process
from tests.integration.ward import NOON, Hospital, SetClock, make_settings

FIRST = date(2026, 11, 24)
NOVEMBER = date(2026, 11, 1)


@contextmanager
def another_process(app: App, **settings: str) -> Iterator[App]:
    """One that remembers nothing."""
    with closing(build_app(make_settings(app.database.url, **settings), clock=app.clock)) as other:
        yield other


def month_of(app: App, **settings: str) -> MonthReport:
    with another_process(app, **settings) as other:
        return other.month_reporter.report(NOVEMBER)


def day_of(app: App, day: date = FIRST, **settings: str) -> MonthDay:
    return next(one for one in month_of(app, **settings).days if one.day == day)


def kept(hospital: Hospital) -> list[date]:
    return [row[0] for row in hospital.query("SELECT day FROM settled_days ORDER BY day")]


def let_all_fail(hospital: Hospital) -> None:
    hospital.query("UPDATE notifications SET status = 'failed', reason = 'carrier' RETURNING 1")


@pytest.fixture
def planned(app: App, hospital: Hospital, clock: SetClock) -> Hospital:
    """Three days with more reminders each; all are taken, but Anna's text of every day; the last day still changes."""
    for number in range(3):
        for patient in ("anna", "berta", "carl")[: number + 1]:
            if not number or patient == ("anna", "berta", "carl")[number]:
                hospital.add_patient(patient)
            hospital.add_appointment(f"{patient}-{number}", patient, start=NOON + timedelta(days=number + 3, hours=2))
        app.reminder_planner.plan(clock.now.date())
        clock.advance(days=1)
    hospital.query(
        "UPDATE notifications SET status = CASE WHEN patient_id = 'anna' AND channel = 'sms' THEN 'failed' ELSE 'sent'"
        " END, reason = CASE WHEN patient_id = 'anna' AND channel = 'sms' THEN 'carrier' END RETURNING 1"
    )
    clock.now = NOON + timedelta(days=5)
    return hospital


def test_a_month_tells_what_its_days_tell_counted_or_kept(app: App, planned: Hospital) -> None:
    first, again = month_of(app), month_of(app)
    assert first == again
    assert (kept(planned), len(first.days)) == ([FIRST, FIRST + timedelta(days=1)], 29)
    reports = [report_delivery(day.day, database=app.database, settings=app.settings) for day in first.days]
    for day, report in zip(first.days, reports, strict=True):
        assert (day.patient_days_due, day.patient_days_reached, day.untold, day.reached_share, day.by_channel) == (
            report.patient_days_due,
            report.patient_days_reached,
            report.untold,
            report.reached_share,
            report.by_channel,
        )
        assert day.failures == report.by_reason
    assert (first.patient_days_due, first.patient_days_reached, first.failures) == (6, 6, {"carrier": 3})
    assert first.patient_days_due == sum(report.patient_days_due for report in reports)
    assert first.by_channel == {"sms": 6, "email": 6}


def test_a_settled_day_stays_as_it_was_when_it_was_settled_and_a_changing_one_does_not(
    app: App, planned: Hospital
) -> None:
    before = month_of(app)
    let_all_fail(planned)
    after = month_of(app)
    assert [day.patient_days_reached for day in before.days if day.day >= FIRST] == [1, 2, 3, 0, 0, 0]
    assert [day.patient_days_reached for day in after.days if day.day >= FIRST] == [1, 2, 0, 0, 0, 0]


def test_a_day_is_settled_when_its_fourth_day_after_begins_in_the_hospital(
    app: App, planned: Hospital, clock: SetClock
) -> None:
    clock.now = datetime(2026, 11, 27, 22, 59, tzinfo=UTC)  # a minute before midnight in Berlin
    month_of(app)
    assert kept(planned) == []
    clock.advance(minutes=1)
    month_of(app)
    assert kept(planned) == [FIRST]


def test_what_is_kept_outlives_the_rows_that_it_was_counted_from(app: App, planned: Hospital) -> None:
    before = day_of(app)
    planned.query("DELETE FROM notifications RETURNING 1")
    planned.query("DELETE FROM appointments RETURNING 1")
    assert day_of(app) == before


def test_of_days_before_all_that_is_stored_nothing_is_kept(app: App, planned: Hospital) -> None:
    planned.query("DELETE FROM notifications WHERE created_at < %s RETURNING 1", NOON + timedelta(hours=20))
    assert day_of(app).by_channel == {}
    assert kept(planned) == [FIRST + timedelta(days=1)]


def test_a_day_whose_reminders_wait_is_told_and_not_kept_before_they_are_settled(app: App, planned: Hospital) -> None:
    planned.query(
        "UPDATE notifications SET status = 'queued' WHERE patient_id = 'anna' AND channel = 'sms' RETURNING 1"
    )
    assert day_of(app).failures == {}
    assert kept(planned) == []
    planned.query("UPDATE notifications SET status = 'expired' WHERE status = 'queued' RETURNING 1")
    assert day_of(app).failures == {"carrier": 1}
    assert kept(planned) == [FIRST, FIRST + timedelta(days=1)]


def test_of_two_who_count_a_day_at_once_both_tell_what_the_first_kept(
    app: App, planned: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one has counted before the first one keeps."""
    own = settled_days.keep
    of_the_first = DayFigures(7, 6, 5, {"sms": 4}, {"carrier": 3})

    def keep_second(transaction, reported, figures, *, now):  # type: ignore[no-untyped-def]
        with app.database.transaction() as first:
            own(first, reported, of_the_first, now=now)
        own(transaction, reported, figures, now=now)

    monkeypatch.setattr(settled_days, "keep", keep_second)
    assert app.day_counter.figures(FIRST) == of_the_first
    assert app.day_counter.figures(FIRST) == of_the_first


def test_a_day_is_told_also_where_nothing_can_be_written(
    app: App, planned: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    name = planned.query("SELECT current_database()")[0][0]
    with planned.database.transaction() as transaction:
        transaction.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")  # for connections to come
    assert (day_of(app).patient_days_reached, kept(planned)) == (1, [])
    assert "the figures of 2026-11-24 are told, and not kept" in caplog.text
    with another_process(app) as worker, pytest.raises(DatabaseUnavailableError):
        worker.day_counter.keep_missing()


def test_a_hospital_in_another_zone_has_other_days(app: App, planned: Hospital) -> None:
    planned.query("UPDATE notifications SET created_at = created_at + interval '15 hours' RETURNING 1")
    here = day_of(app)
    there = day_of(app, CARENOTIFY_TIMEZONE="America/New_York")
    assert (here.by_channel, there.by_channel) == ({}, {"sms": 1, "email": 1})
    assert (day_of(app), day_of(app, CARENOTIFY_TIMEZONE="America/New_York")) == (here, there)


def test_a_worker_counts_what_nobody_has_looked_at_a_few_days_at_a_time_and_each_once(
    app: App, planned: Hospital, clock: SetClock
) -> None:
    clock.advance(days=7)
    assert app.day_counter.keep_missing() == 5
    assert kept(planned) == [FIRST + timedelta(days=number) for number in range(4, 9)]
    assert app.day_counter.keep_missing() == 4
    assert app.day_counter.keep_missing() == 0
    let_all_fail(planned)
    assert day_of(app).failures == {"carrier": 1}


@pytest.mark.parametrize("relay", [True, False])
def test_a_worker_that_sweeps_counts_days_as_well(app: App, planned: Hospital, *, relay: bool) -> None:
    for loop in process._loops(app, [], relay=relay, look_up=False):
        if loop.name == "days":
            loop.round()
    assert kept(planned) == ([FIRST, FIRST + timedelta(days=1)] if relay else [])


def test_a_hospital_that_has_told_nobody_keeps_nothing(app: App, hospital: Hospital) -> None:
    assert app.day_counter.keep_missing() == 0
    assert (month_of(app).patient_days_due, kept(hospital)) == (0, [])
