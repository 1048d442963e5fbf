"""The watchdog, whose mails reach a real mail server, on days of every kind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from carenotify.app import App, build_app
from carenotify.domain.alert import AlertKind
from carenotify.domain.alert_mail import AlertMail
from carenotify.domain.window import SendWindow
from carenotify.errors import StorageError
from carenotify.journeys.keep_watch import Watchdog
from carenotify.journeys.watch_delivery import DeliveryWatch
from carenotify.sandbox.mail import readable
from carenotify.sandbox.server import SandboxServer
from carenotify.storage import heartbeats, reminder_plans
from carenotify.storage.database import Database
from carenotify.storage.ingest_runs import settle_run, start_run
from tests.integration.alerting import STAFF, Mailbox, Messages, all_alerts, empty
from tests.integration.ward import Hospital, SetClock, wait_for

BERLIN = ZoneInfo("Europe/Berlin")
AWAY = "carenotify: the database is away"
BACK = "carenotify: over: the database is away"
DAY = date(2026, 11, 24)
EARLY = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)  # 05:00 in Berlin

# What starts a watchdog at that moment, for a hospital with these settings.
Start = Callable[..., Watchdog]


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """One database for the tests of this file, empty at the beginning of each."""
    return module_database_url


@pytest.fixture(autouse=True)
def _empty(hospital: Hospital) -> None:
    empty(hospital)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def start(app: App, clock: SetClock, mailbox: Mailbox) -> Start:
    def start(*, at: datetime = EARLY, **settings: Any) -> Watchdog:
        clock.now = at
        other = build_app(app.settings.model_copy(update=STAFF | settings), clock=clock)
        other.__dict__["database"] = app.database  # which `app` closes
        watchdog = other.watchdog
        watchdog.send = mailbox
        return watchdog

    return start


@pytest.fixture
def well(app: App, clock: SetClock) -> Callable[[], None]:
    """Watching and loading go on; what is missing is a plan."""

    def say_so() -> None:
        with app.database.transaction() as transaction:
            heartbeats.beat(transaction, heartbeats.WATCH_DELIVERY, now=clock())
            start_run(transaction, run_id=f"run {clock()}", now=clock(), first_day=DAY, last_day=DAY)
            settle_run(transaction, run_id=f"run {clock()}", status="loaded", now=clock())

    return say_so


def plan(app: App, day: date = DAY) -> None:
    with app.database.transaction() as transaction:
        reminder_plans.note(transaction, day, patient_days=0, planned=0, now=app.clock())


def at(hour: int, minute: int = 0, day: date = DAY, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)


# --- no plan ---------------------------------------------------------------------------------


def test_a_day_without_a_plan_is_mailed_once_when_its_grace_is_over_and_its_plan_ends_that(
    app: App, start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox
) -> None:
    watchdog = start()
    for moment, mails in ((at(8, 59), 0), (at(9), 0), (at(9, 14), 0), (at(9, 15), 1), (at(9, 16), 1), (at(11), 1)):
        clock.now = moment
        well()
        watchdog.look()
        assert len(mailbox.mails) == mails, moment
    assert mailbox.mails[0].subject == "carenotify: no plan for 2026-11-24"
    plan(app)
    watchdog.look()
    watchdog.look()
    assert [mail.subject for mail in mailbox.mails[1:]] == ["carenotify: over: no plan for 2026-11-24"]


def test_a_hospital_that_sends_no_reminders_misses_no_plan(
    app: App, start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox
) -> None:
    watchdog = start(alert_plan_grace_minutes=0)
    clock.now = at(11)
    well()
    watchdog.look()
    assert all_alerts(app) == []


def test_a_day_on_which_nothing_was_due_has_a_plan_and_there_is_silence(
    app: App, start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox
) -> None:
    watchdog = start()
    clock.now = at(9)
    assert app.reminder_planner.plan(DAY).planned == 0
    clock.now = at(11)
    well()
    watchdog.look()
    assert mailbox.mails == []


def test_every_day_is_told_for_itself(
    app: App, start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox
) -> None:
    watchdog = start()
    for days in range(3):
        clock.now = at(10) + timedelta(days=days)
        well()
        watchdog.look()
    assert [mail.subject[-10:] for mail in mailbox.mails] == ["2026-11-24", "2026-11-25", "2026-11-26"]
    plan(app, date(2026, 11, 26))
    watchdog.look()
    assert len(mailbox.mails) == 4
    assert all(alert.resolved_at is not None for alert in all_alerts(app))  # what a later plan has caught up on


def test_a_process_that_has_just_begun_gives_the_plan_its_grace(
    start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox
) -> None:
    watchdog = start(at=at(10))
    well()
    watchdog.look()
    clock.advance(minutes=14)
    watchdog.look()
    assert mailbox.mails == []
    clock.advance(minutes=1)
    watchdog.look()
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(("known", "mails"), [(False, 0), (True, 1)], ids=["new", "known"])
def test_a_window_that_was_over_before_the_first_start_was_nobodys_to_plan(
    app: App, start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox, known: bool, mails: int
) -> None:
    if known:
        plan(app, DAY - timedelta(days=1))
    watchdog = start(at=at(15))
    clock.advance(minutes=20)
    well()
    watchdog.look()
    assert len(mailbox.mails) == mails


@pytest.mark.parametrize(
    ("window", "day", "told_at"),
    [
        ("00:00-24:00", DAY, at(0, 15)),
        ("09:00-12:00", date(2026, 10, 25), datetime(2026, 10, 25, 8, 15, tzinfo=UTC)),  # clocks go back
        ("09:00-12:00", date(2026, 3, 29), datetime(2026, 3, 29, 7, 15, tzinfo=UTC)),  # clocks go forward
        ("01:30-03:30", date(2026, 10, 25), datetime(2026, 10, 24, 23, 45, tzinfo=UTC)),
        ("01:30-03:30", date(2026, 3, 29), datetime(2026, 3, 29, 0, 45, tzinfo=UTC)),
        ("23:50-24:00", DAY, at(0, 5, DAY + timedelta(days=1))),
        ("09:00-09:05", DAY, at(9, 15)),
    ],
)
def test_the_grace_is_over_at_the_same_time_after_the_opening_on_every_day(
    app: App,
    start: Start,
    clock: SetClock,
    well: Callable[[], None],
    mailbox: Mailbox,
    window: str,
    day: date,
    told_at: datetime,
) -> None:
    watchdog = start(at=told_at - timedelta(hours=8), send_window=SendWindow.parse(window))
    plan(app, day - timedelta(days=1))
    for moment, mails in ((told_at - timedelta(seconds=1), 0), (told_at, 1), (told_at + timedelta(hours=5), 1)):
        clock.now = moment
        well()
        watchdog.look()
        assert len(mailbox.mails) == mails
    assert mailbox.mails[0].subject.endswith(day.isoformat())


def test_a_window_that_the_change_of_clocks_leaves_out_is_not_missed(
    start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox
) -> None:
    day = date(2026, 3, 29)
    watchdog = start(at=at(1, day=day), send_window=SendWindow.parse("02:00-03:00"))
    for hour in (4, 12, 23):
        clock.now = at(hour, day=day)
        well()
        watchdog.look()
    assert mailbox.mails == []


# --- nothing ingested, nobody watches --------------------------------------------------------


def test_loads_that_stay_away_are_mailed_once_and_the_next_good_one_ends_that(
    app: App, start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox
) -> None:
    watchdog = start(at=at(1))
    well()
    for minutes, mails in ((179, 0), (181, 1), (240, 1)):
        clock.now = at(1) + timedelta(minutes=minutes)
        app.delivery_watch.look()
        watchdog.look()
        assert len(mailbox.mails) == mails
    assert mailbox.mails[0].subject == "carenotify: no appointments loaded"
    assert "2026-11-24 01:00" in mailbox.mails[0].text
    well()
    watchdog.look()
    assert mailbox.mails[1].subject == "carenotify: over: no appointments loaded"


def test_a_load_that_was_held_or_failed_is_no_load(
    app: App, start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox
) -> None:
    watchdog = start(at=at(1))
    well()
    clock.now = at(4, 30)
    app.delivery_watch.look()
    with app.database.transaction() as transaction:
        start_run(transaction, run_id="held", now=clock(), first_day=DAY, last_day=DAY)
        settle_run(transaction, run_id="held", status="held", now=clock(), reason="612 changes")
    watchdog.look()
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(("url", "mails"), [(None, 0), ("http://127.0.0.1:9/fhir", 1)], ids=["events", "loads"])
def test_a_hospital_that_never_loaded_is_told_only_when_it_has_something_to_load_from(
    app: App, start: Start, clock: SetClock, mailbox: Mailbox, url: str | None, mails: int
) -> None:
    watchdog = start(at=at(1), patient_api_url=url)
    clock.advance(hours=4)
    app.delivery_watch.look()
    watchdog.look()
    assert len(mailbox.mails) == mails


def test_a_watcher_that_falls_silent_is_mailed_and_its_work_is_done_meanwhile(
    app: App, start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox, hospital: Hospital
) -> None:
    watchdog = start(at=at(1))
    well()
    clock.advance(minutes=14)
    watchdog.look()
    assert mailbox.mails == []
    Messages(hospital).add(3, at=clock())
    clock.advance(minutes=2)
    watchdog.look()
    (mail,) = mailbox.mails
    assert mail.subject == "carenotify: watch_delivery does not run; 3 messages failed"
    Messages(hospital).add(2, at=clock(), name="b")
    watchdog.look()
    assert mailbox.mails[1].subject == "carenotify: 2 messages failed"
    app.delivery_watch.look()
    watchdog.look()
    assert mailbox.mails[2].subject == "carenotify: over: watch_delivery does not run"


def test_what_nobody_mails_although_the_watcher_runs_is_mailed_by_the_watchdog(
    app: App, start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox, hospital: Hospital
) -> None:
    watchdog = start(at=at(1))
    Messages(hospital).add(3, at=clock())
    for minutes, mails in ((0, 0), (14, 0), (15, 1), (16, 1)):
        clock.now = at(1) + timedelta(minutes=minutes)
        well()
        app.delivery_watch.look()
        watchdog.look()
        assert len(mailbox.mails) == mails
    assert mailbox.mails[0].subject == "carenotify: 3 messages failed"


def test_a_search_for_failures_that_fails_holds_back_no_mail(
    start: Start, clock: SetClock, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: DeliveryWatch) -> dict[str, int]:
        raise StorageError("the database refused a statement")

    monkeypatch.setattr(DeliveryWatch, "find", refused)
    watchdog = start(at=at(1))
    clock.now = at(10)
    with pytest.raises(StorageError):
        watchdog.look()
    assert [mail.subject for mail in mailbox.mails] == [
        "carenotify: no plan for 2026-11-24; watch_delivery does not run"
    ]


def test_while_the_watcher_runs_the_watchdog_leaves_its_alerts_to_it(
    app: App, start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox, hospital: Hospital
) -> None:
    watchdog = start(at=at(1))
    well()
    Messages(hospital).add(3, at=clock())
    app.delivery_watch.look()
    watchdog.look()
    assert mailbox.mails == []


def test_a_watcher_that_never_ran_is_missed_once_the_process_is_up_for_that_long(
    start: Start, clock: SetClock, mailbox: Mailbox
) -> None:
    watchdog = start(at=at(1))
    for minutes, mails in ((14, 0), (15, 1), (16, 1)):
        clock.now = at(1) + timedelta(minutes=minutes)
        watchdog.look()
        assert len(mailbox.mails) == mails
    assert "it never did" in mailbox.mails[0].text


def test_a_process_that_has_just_begun_does_not_end_what_another_has_found(
    app: App, start: Start, clock: SetClock, well: Callable[[], None], mailbox: Mailbox
) -> None:
    old = start(at=at(1))
    well()
    clock.now = at(6)
    old.look()
    assert len(mailbox.mails) == 1
    new = start(at=at(6, 1))
    new.look()
    assert len(mailbox.mails) == 1
    assert {alert.resolved_at for alert in all_alerts(app)} == {None}


def test_of_several_workers_one_mails(start: Start, clock: SetClock, mailbox: Mailbox) -> None:
    workers = [start(at=at(1)) for _ in range(4)]
    clock.now = at(10)
    for worker in workers:
        worker.look()
    assert len(mailbox.mails) == 1


def test_a_mail_server_that_is_down_delays_the_mail_and_hurts_nobody(
    start: Start, clock: SetClock, mailbox: Mailbox
) -> None:
    watchdog = start(at=at(1))
    mailbox.down = True
    clock.now = at(10)
    watchdog.look()
    mailbox.down = False
    watchdog.look()
    assert len(mailbox.mails) == 1


def test_without_anybody_to_tell_alerts_are_kept(app: App, start: Start, clock: SetClock, mailbox: Mailbox) -> None:
    watchdog = start(at=at(1), alert_to=())
    clock.now = at(10)
    watchdog.look()
    assert mailbox.mails == []
    assert {alert.kind for alert in all_alerts(app)} == {AlertKind.NO_PLAN, AlertKind.WATCHER_SILENT}


# --- the database ----------------------------------------------------------------------------


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(reminder_day=DAY, timezone=BERLIN, appointments=1) as server:
        yield server


def mails_of(sandbox: SandboxServer) -> list[dict[str, Any]]:
    return [readable(dict(kept)) for kept in sandbox.sandbox.ledger.messages("email")]


def away(app: App, clock: SetClock, sandbox: SandboxServer) -> App:
    """An app whose database is not there, and which mails by the sandbox's mail server."""
    settings = app.settings.model_dump() | {
        "database_url": "postgresql://nobody:nothing@127.0.0.1:9/away",
        "smtp_url": sandbox.smtp_url,
        "alert_to": "anna@hospital.example,bert@hospital.example",
        "email_from": STAFF["email_from"],
    }
    return build_app(type(app.settings)(**settings), clock=clock)


def test_a_database_that_is_away_for_five_minutes_is_mailed_once_an_outage_by_a_real_mail_server(
    app: App, clock: SetClock, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carenotify.journeys.keep_watch._CONNECTION_SECONDS", 0.2)
    clock.now = at(10, 5)
    with closing(away(app, clock, sandbox)) as one, closing(away(app, clock, sandbox)) as other:
        for minutes, mails in ((0, 0), (4, 0), (5, 1), (6, 1)):
            clock.now = at(10, 5 + minutes)
            one.watchdog.look()
            assert len(mails_of(sandbox)) == mails, minutes  # to both receivers
        other.watchdog.look()
        clock.advance(minutes=5)
        other.watchdog.look()
    found = mails_of(sandbox)
    assert [mail["to"] for mail in found] == [["anna@hospital.example", "bert@hospital.example"]] * 2
    assert len({mail["headers"]["Message-ID"] for mail in found}) == 1
    assert found[0]["subject"] == "carenotify: the database is away"
    assert "no answer since 2026-11-24 10:05" in found[0]["text"]
    assert "127.0.0.1:9" not in found[0]["raw"]


def test_another_outage_is_mailed_anew_once_the_database_was_back(
    start: Start, clock: SetClock, mailbox: Mailbox, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carenotify.journeys.keep_watch._CONNECTION_SECONDS", 0.2)
    watchdog = start(at=at(1))
    there, gone = watchdog.database, away_database(app)
    for hours in range(2):
        watchdog.database = gone
        for minutes in (0, 5, 6):
            clock.now = at(2 + hours, minutes)
            watchdog.look()
        watchdog.database = there
        app.delivery_watch.look()
        watchdog.look()
    gone.close()
    assert [mail.subject for mail in mailbox.mails] == [AWAY, BACK] * 2
    assert len({mail.message_id for mail in mailbox.mails}) == 4


def test_the_end_of_an_outage_is_told_by_all_under_one_id_and_later_when_the_mail_server_was_down_too(
    start: Start, clock: SetClock, mailbox: Mailbox, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carenotify.journeys.keep_watch._CONNECTION_SECONDS", 0.2)
    watchdogs, gone = [start(at=at(1)), start(at=at(1))], away_database(app)
    for minutes in (0, 5):
        clock.now = at(2, minutes)
        for watchdog in watchdogs:
            watchdog.database = gone
            watchdog.look()
    gone.close()
    clock.now = at(2, 7)
    app.delivery_watch.look()
    for down in (True, False, False):
        mailbox.down = down
        for watchdog in watchdogs:
            watchdog.database = app.database
            watchdog.look()
    assert [mail.subject for mail in mailbox.mails] == [AWAY, AWAY, BACK, BACK]
    assert len({mail.message_id for mail in mailbox.mails}) == 2
    assert "(told at 2026-11-24 02:05, over at 2026-11-24 02:07)" in mailbox.mails[2].text


def test_a_database_that_stands_still_counts_as_away_and_is_not_asked_again_meanwhile(
    start: Start, clock: SetClock, mailbox: Mailbox, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carenotify.journeys.keep_watch._ROUND_SECONDS", 0.3)
    watchdog = start(at=at(2))
    # With one connection: a pool that may open another would have an answer when the first is not back in time.
    only_one = Database(app.database.url, sealer=app.database.sealer, max_connections=1)
    with closing(only_one) as hanging, standing_still(hanging):
        watchdog.database = hanging
        for minutes in (0, 4, 5, 6):
            clock.now = at(2, minutes)
            watchdog.look()
            assert len(rounds()) == 1
        assert [mail.subject for mail in mailbox.mails] == [AWAY]
    wait_for(lambda: not rounds())
    watchdog.database = app.database
    app.delivery_watch.look()
    watchdog.look()
    assert [mail.subject for mail in mailbox.mails] == [AWAY, BACK]


def test_a_mail_server_that_takes_its_time_is_no_database_that_is_away(
    start: Start, clock: SetClock, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carenotify.journeys.keep_watch._ROUND_SECONDS", 0.3)
    watchdog, go_on = start(at=at(1)), threading.Event()

    def slowly(mail: AlertMail) -> None:
        assert go_on.wait(20)
        mailbox(mail)

    watchdog.send = slowly
    for minutes in (0, 5, 10):
        clock.now = at(10, minutes)
        watchdog.look()
    go_on.set()
    wait_for(lambda: not rounds())
    (mail,) = mailbox.mails
    assert "the database" not in mail.subject


def rounds() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "watchdog round"]


@contextmanager
def standing_still(database: Database) -> Iterator[None]:
    """The server's process behind its only connection does nothing, as when a machine or a disk hangs."""
    with database.transaction() as transaction:
        process = transaction.info.backend_pid
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def away_database(app: App) -> Database:
    return Database("postgresql://nobody:nothing@127.0.0.1:9/away", sealer=app.database.sealer)


def test_a_mail_of_the_watchdog_arrives_at_a_real_mail_server_with_nothing_of_ours_that_is_secret(
    app: App, start: Start, clock: SetClock, sandbox: SandboxServer
) -> None:
    watchdog = start(at=at(1), smtp_url=None)
    settings = type(app.settings)(
        **app.settings.model_dump()
        | {"smtp_url": sandbox.smtp_url, "alert_to": "anna@hospital.example"}
        | {"email_from": STAFF["email_from"]}
    )
    watchdog.send = build_app(settings, clock=clock).alert_sender
    clock.now = at(10)
    watchdog.look()
    (mail,) = mails_of(sandbox)
    assert mail["subject"] == "carenotify: no plan for 2026-11-24; watch_delivery does not run"
    assert mail["to"] == ["anna@hospital.example"]
    assert "What to do" in mail["text"]
    assert "What to do" in mail["html"]
    assert mail["headers"]["Message-ID"].endswith("@hospital.example>")
