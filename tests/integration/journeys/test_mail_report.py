"""The day's report: counted in PostgreSQL, and handed to a mail server."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from pydantic import SecretStr

from carenotify.app import App
from carenotify.errors import AlertNotSentError
from carenotify.journeys.report_delivery import FIGURE_COLUMNS, report_delivery
from carenotify.storage import delivery_report
from tests.integration.alerting import Messages, app_of_staff, empty
from tests.integration.dags.conftest import Mailbox
from tests.integration.ward import MAIL, MOBILE, NOON, Hospital, SetClock

TODAY = date(2026, 11, 24)
EVENING = NOON + timedelta(hours=8.5)
IN_THREE_DAYS = NOON + timedelta(days=3, hours=2)
TO = ("head@hospital.example", "quality@hospital.example")
NAME = "Zebedaeus"


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """One database for the tests of this file, empty at the beginning of each."""
    return module_database_url


@pytest.fixture(autouse=True)
def _empty(hospital: Hospital) -> None:
    empty(hospital)
    hospital.query(
        "WITH p AS (DELETE FROM reminder_plans), e AS (DELETE FROM change_events),"
        " s AS (DELETE FROM reminder_skips) SELECT 1"
    )


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    mailbox.open()
    yield mailbox
    mailbox.close()


@pytest.fixture
def staffed(app: App, clock: SetClock, mailbox: Mailbox) -> App:
    """The same app, for a hospital whose staff get the report."""
    other = app_of_staff(app, clock, smtp_url=SecretStr(mailbox.url), report_to=TO)
    other.__dict__["database"] = app.database  # which `app` closes
    return other


@pytest.fixture
def day(app: App, hospital: Hospital, clock: SetClock) -> Hospital:
    """Of Anna's two reminders one arrived, Berta's address is wrong, nothing is known of Carl, Dora has died."""
    for patient, fields in {"anna": {}, "berta": {"mail": None}, "carl": {"contacts": []}, "dora": {}}.items():
        hospital.add_patient(patient, given_name=NAME, deceased=patient == "dora", **fields)
        hospital.add_appointment(f"of-{patient}", patient, start=IN_THREE_DAYS)
    app.reminder_planner.plan(TODAY)
    hospital.query(
        "UPDATE notifications SET finished_at = %s, status = CASE WHEN channel = 'email' THEN 'delivered' ELSE 'failed'"
        " END, reason = CASE WHEN channel = 'sms' THEN 'address_rejected' END RETURNING 1",
        NOON,
    )
    hospital.query(
        "INSERT INTO ingest_runs (id, started_at, finished_at, status, first_day, last_day)"
        " SELECT status || started, started, started, status, %s, %s FROM (VALUES"
        " ('loaded', %s::timestamptz), ('loaded', %s), ('failed', %s)) AS load (status, started) RETURNING 1",
        *(TODAY, TODAY, NOON, NOON - timedelta(days=1), NOON + timedelta(hours=1)),
    )
    hospital.query(
        "INSERT INTO dead_letters (notification_id, reason, attempts, created_at)"
        " SELECT id, 'address_rejected', 1, %s FROM notifications WHERE patient_id = 'berta' RETURNING 1",
        NOON,
    )
    clock.now = EVENING
    return hospital


def text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    told: str = body.get_content()
    return told


def line(told: str, name: str) -> list[str]:
    """What stands behind a name in the text."""
    (found,) = (line for line in told.splitlines() if line.startswith(f"{name}  "))
    return found.removeprefix(name).split()


def test_a_day_is_told_by_its_counts_and_the_mail_is_safe_to_show_to_anybody(
    staffed: App, day: Hospital, mailbox: Mailbox
) -> None:
    Messages(day).add(2, name="new", channel="sms", status="sent", reason=None, at=NOON)
    day.query("UPDATE notifications SET kind = 'rescheduled' WHERE patient_id LIKE 'new%%' RETURNING 1")
    summary = staffed.report_mailer.mail(TODAY)
    (mail,) = mailbox.mails
    assert mailbox.recipients == [list(TO)]
    # A line break behind the colon, where the subject fills a line, is none of it (RFC 5322 2.2.3).
    assert mail["Subject"].strip() == "50.0 % of 2 reached, 1 not (target 99 %): report of 24 Nov 2026, St. Mary"
    told = text(mail)
    assert line(told, "No such address") == ["2", "1"]
    assert line(told, "SMS") == ["2", "0", "0.0", "%"]
    assert line(told, "E-mail") == ["1", "1", "50.0", "%"]
    assert line(told, "No address known") == line(told, "Patient has died") == ["1"]
    assert line(told, "New time") == ["2", "2", "0"]
    assert line(told, "With an e-mail address") == ["2", "50.0", "%"]
    assert line(told, "Open dead letters, of all days") == ["1"]
    assert (line(told, "Taken over"), line(told, "Failed")) == (["1"], ["1"])
    assert "Counted at 18:00 on 2026-11-24" in told
    assert summary == {
        "patient_days_due": 2,
        "patient_days_reached": 1,
        "patient_days_not_reached": 1,
        "untold": 0,
        "reminders": 3,
        "other_messages": 2,
        "dead_letters_open": 1,
        "receivers_refused": 0,
        "mailed": "yes",
    }
    whole = "".join(str(part.get_content()) for part in mail.walk() if not part.is_multipart())
    personal = (
        NAME,
        MOBILE,
        MAIL,
        "anna",
        "berta",
        *(row[0] for row in day.query("SELECT id::text FROM notifications")),
    )
    assert [one for one in personal if one in whole] == []


def test_the_csv_that_comes_along_is_the_one_of_the_page(staffed: App, day: Hospital, mailbox: Mailbox) -> None:
    staffed.report_mailer.mail(TODAY)
    (table,) = mailbox.mails[0].iter_attachments()
    assert (table.get_filename(), table.get_content_type()) == ("delivery-2026-11-24.csv", "text/csv")
    report = report_delivery(TODAY, database=staffed.database, settings=staffed.settings)
    rows = [["" if value is None else str(value) for value in row] for row in report.figures()]
    assert list(csv.reader(io.StringIO(table.get_content(), newline=""))) == [list(FIGURE_COLUMNS), *rows]


def test_a_day_on_which_nothing_was_due_is_told_as_well(staffed: App, clock: SetClock, mailbox: Mailbox) -> None:
    staffed.reminder_planner.plan(TODAY)
    clock.now = EVENING
    assert staffed.report_mailer.mail(TODAY)["patient_days_due"] == 0
    assert mailbox.mails[0]["Subject"] == "nobody was due: report of 24 Nov 2026, St. Mary"
    assert "not planned" not in text(mailbox.mails[0])


def test_a_day_that_was_never_planned_is_told_as_that(
    staffed: App, hospital: Hospital, clock: SetClock, mailbox: Mailbox
) -> None:
    hospital.add_patient("anna")
    hospital.add_appointment("a1", "anna", start=IN_THREE_DAYS)
    hospital.query("UPDATE appointments SET updated_at = %s RETURNING 1", NOON - timedelta(hours=2))
    clock.now = EVENING
    staffed.report_mailer.mail(TODAY)
    told = text(mailbox.mails[0])
    assert "0.0 % reached" in told
    assert "The day's reminders were not planned in time, so nobody was told: 1 patient." in told
    assert line(told, "Untold: no message, and no reason") == ["1"]


def test_a_day_without_a_plan_while_the_window_is_open_is_told_as_that_once_its_grace_is_over(
    staffed: App, hospital: Hospital, clock: SetClock, mailbox: Mailbox
) -> None:
    hospital.add_patient("anna")
    hospital.add_appointment("a1", "anna", start=IN_THREE_DAYS)
    hospital.query("UPDATE appointments SET updated_at = %s RETURNING 1", NOON - timedelta(hours=2))
    opens, _ = staffed.settings.send_window.bounds(TODAY, staffed.settings.timezone)
    for minutes in (5, 20):
        clock.now = opens + timedelta(minutes=minutes)
        staffed.report_mailer.mail(TODAY)
    early, late = map(text, mailbox.mails)
    assert "is not over" in early
    assert "is not over" in late
    assert ("not planned" in early, "not planned" in late) == (False, True)


def test_a_day_before_anything_was_ever_planned_has_no_figures_and_a_later_one_misses_its_plan(
    staffed: App, clock: SetClock, mailbox: Mailbox
) -> None:
    staffed.reminder_planner.plan(TODAY)
    for day in (TODAY - timedelta(days=1), TODAY + timedelta(days=1)):
        clock.now = EVENING + timedelta(days=1)
        staffed.report_mailer.mail(day)
    before, after = map(text, mailbox.mails)
    assert "No figures of this day" in before
    assert "not planned in time" not in before
    assert "not planned in time, but nobody is known who was due" in after


def test_a_receipt_that_comes_in_while_the_day_is_counted_is_in_none_of_its_figures(
    staffed: App, day: Hospital, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifications = delivery_report.notifications

    def then_bounce(*asked: Any) -> Any:
        found = notifications(*asked)
        day.query("UPDATE notifications SET status = 'bounced', reason = 'bounced' WHERE channel = 'email' RETURNING 1")
        return found

    monkeypatch.setattr(delivery_report, "notifications", then_bounce)
    staffed.report_mailer.mail(TODAY)
    told = text(mailbox.mails[0])
    assert "50.0 % reached" in told
    assert line(told, "E-mail") == ["1", "1", "50.0", "%"]
    assert "Came back" not in told
    assert "bounced" not in told


def test_the_mail_of_a_day_is_one_mail_however_often_it_is_sent(staffed: App, day: Hospital, mailbox: Mailbox) -> None:
    for _ in range(2):
        staffed.report_mailer.mail(TODAY)
    staffed.report_mailer.mail(TODAY - timedelta(days=1))
    ids = [mail["Message-ID"] for mail in mailbox.mails]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0].endswith("@hospital.example>")


def test_a_mail_that_was_perhaps_taken_is_done_with_a_warning_and_not_sent_a_second_time(
    staffed: App, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.breaks_off = True  # it has taken the mail, and nobody hears so
    assert staffed.report_mailer.mail(TODAY)["mailed"] == "perhaps"
    assert "unconfirmed: the report may have been taken all the same, and is not sent again" in caplog.text
    assert len(mailbox.mails) == 1


def test_the_report_is_no_alert_for_those_who_sort_their_mail(staffed: App, mailbox: Mailbox) -> None:
    staffed.report_mailer.mail(TODAY)
    (mail,) = mailbox.mails
    assert (mail["X-Carenotify-Report-Day"], mail["X-Carenotify-Alert-Id"]) == ("2026-11-24", None)


def test_a_report_that_a_person_asks_for_is_a_mail_of_its_own_however_often_it_is_tried(
    staffed: App, mailbox: Mailbox
) -> None:
    for run in (None, "manual__1", "manual__1", "manual__2"):
        staffed.report_mailer.mail(TODAY, asked_by=run)
    by_itself, first, again, other = (mail["Message-ID"] for mail in mailbox.mails)
    assert first == again
    assert len({by_itself, first, other}) == 3


def test_a_mail_server_that_is_down_has_surely_taken_nothing(staffed: App, mailbox: Mailbox) -> None:
    mailbox.close()
    with pytest.raises(AlertNotSentError, match="connection-refused") as caught:
        staffed.report_mailer.mail(TODAY)
    assert not caught.value.perhaps_taken


def test_a_receiver_whom_the_server_refuses_is_counted_and_keeps_it_from_nobody(staffed: App, mailbox: Mailbox) -> None:
    mailbox.refuses = TO[0]
    assert staffed.report_mailer.mail(TODAY)["receivers_refused"] == 1
    assert mailbox.recipients == [[TO[1]]]


def test_whoever_is_alerted_gets_it_until_somebody_else_is_named(
    app: App, clock: SetClock, mailbox: Mailbox, staffed: App
) -> None:
    alerted = app_of_staff(app, clock, smtp_url=staffed.settings.smtp_url)
    alerted.__dict__["database"] = app.database
    alerted.report_mailer.mail(TODAY)
    assert mailbox.recipients == [["staff@hospital.example"]]
