"""One mail for all that waits, and never two different mails of the same, whatever ends in between."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from carenotify.app import App
from carenotify.domain.alert import AlertKind, NewAlert
from carenotify.domain.alert_mail import AlertMail
from carenotify.errors import AlertNotSentError
from carenotify.journeys.mail_alerts import AlertMailer
from carenotify.journeys.note_failure import note_deadline_missed, note_mailed, note_run_failed, note_unmailed
from carenotify.storage import alerts
from tests.integration.alerting import Mailbox, Messages, all_alerts, app_of_staff, empty
from tests.integration.ward import NOON, Hospital, SetClock


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """One database for the tests of this file, empty at the beginning of each."""
    return module_database_url


@pytest.fixture(autouse=True)
def _empty(hospital: Hospital) -> None:
    empty(hospital)


@pytest.fixture
def messages(hospital: Hospital) -> Messages:
    return Messages(hospital)


@pytest.fixture
def staffed(app: App, clock: SetClock) -> App:
    """The same app, for a hospital that mails its staff."""
    other = app_of_staff(app, clock)
    other.__dict__["database"] = app.database  # which `app` closes
    return other


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


def raised(app: App, *new: NewAlert) -> None:
    with app.database.transaction() as transaction:
        alerts.raise_alerts(transaction, new, now=app.clock())


def over(app: App, kind: AlertKind) -> None:
    with app.database.transaction() as transaction:
        alerts.resolve(transaction, kind, except_keys=[], now=app.clock())


TWILIO = NewAlert(AlertKind.PROVIDER_DOWN, "twilio", "provider_down:twilio", "sms", details={"code": "401"})


def test_all_that_waits_is_one_mail_and_then_there_is_silence(
    staffed: App, messages: Messages, mailbox: Mailbox
) -> None:
    messages.add(7)
    messages.add(2, reason="carrier", name="b")
    raised(staffed, TWILIO)
    staffed.delivery_watch.look()
    assert staffed.alert_mailer.mail(mailbox) == 3
    (mail,) = mailbox.mails
    assert "7 messages for 7 patients" in mail.text
    assert mail.message_id.endswith("@hospital.example>")
    assert staffed.alert_mailer.mail(mailbox) == 0
    assert len(mailbox.mails) == 1
    assert all(alert.mailed_at == NOON for alert in all_alerts(staffed))


def test_nothing_is_mailed_when_nothing_waits_or_nobody_is_to_be_told(app: App, staffed: App, mailbox: Mailbox) -> None:
    assert staffed.alert_mailer.mail(mailbox) == 0
    raised(app, TWILIO)
    assert app.alert_mailer.mail(mailbox) == 0
    assert mailbox.mails == []
    assert staffed.alert_mailer.mail(mailbox) == 1  # it was kept


def test_on_the_day_that_somebody_is_to_be_told_only_what_is_news_is_mailed(
    app: App, staffed: App, mailbox: Mailbox, clock: SetClock
) -> None:
    raised(app, TWILIO, NewAlert(AlertKind.TASK_FAILED, "last week"))
    clock.advance(hours=23)
    raised(app, NewAlert(AlertKind.TASK_FAILED, "today"))
    clock.advance(hours=1)
    app.alert_mailer.mail(mailbox)
    assert staffed.alert_mailer.mail(mailbox) == 1
    over(staffed, AlertKind.PROVIDER_DOWN)  # whose beginning nobody was told
    assert staffed.alert_mailer.mail(mailbox) == 0
    assert [(one.subject, one.mailed_at) for one in all_alerts(app)] == [
        ("last week", None),
        ("twilio", None),
        ("today", clock()),
    ]


def test_a_mail_server_that_is_away_for_days_loses_nothing(staffed: App, mailbox: Mailbox, clock: SetClock) -> None:
    raised(staffed, TWILIO)
    clock.advance(days=3)
    assert staffed.alert_mailer.mail(mailbox) == 1


def test_a_flood_of_failures_is_one_mail_with_groups(staffed: App, messages: Messages, mailbox: Mailbox) -> None:
    messages.add(8000)
    staffed.delivery_watch.look()
    staffed.alert_mailer.mail(mailbox)
    (mail,) = mailbox.mails
    assert mail.subject == "carenotify: 8,000 messages failed"
    assert len(mail.text) < 3000


def test_reminders_that_were_not_sent_inside_their_window_are_mailed(
    staffed: App, hospital: Hospital, mailbox: Mailbox, clock: SetClock
) -> None:
    for number in range(3):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    staffed.reminder_planner.plan(NOON.date())
    clock.now = NOON + timedelta(hours=3)
    assert staffed.relay.settle().expired == 3
    clock.advance(minutes=2)
    assert staffed.delivery_watch.look() == {"delivery_failed": 3}
    staffed.alert_mailer.mail(mailbox)
    (mail,) = mailbox.mails
    assert mail.subject == "carenotify: 3 messages failed"
    assert "sms, expired, window_closed" in mail.text
    assert "3 messages for 3 patients" in mail.text
    assert staffed.delivery_watch.look() == {}


def test_what_several_looks_found_is_added_up_in_one_group(
    staffed: App, messages: Messages, mailbox: Mailbox, clock: SetClock
) -> None:
    for look in range(4):
        messages.add(5, name=f"{look}-", at=clock())
        staffed.delivery_watch.look()
        clock.advance(minutes=2)
    staffed.alert_mailer.mail(mailbox)
    (mail,) = mailbox.mails
    assert "20 messages for 20 patients, 2026-11-24 09:30 to 2026-11-24 09:36" in mail.text


def test_a_mail_server_that_is_down_keeps_it_and_the_next_mail_tells_it_with_what_is_new(
    staffed: App, messages: Messages, mailbox: Mailbox, clock: SetClock
) -> None:
    mailbox.down = True
    messages.add(3)
    staffed.delivery_watch.look()
    for _ in range(3):
        with pytest.raises(AlertNotSentError):
            staffed.alert_mailer.mail(mailbox)
        clock.advance(minutes=2)
    assert all(alert.mailed_at is None for alert in all_alerts(staffed))
    messages.add(4, name="b", reason="carrier")
    staffed.delivery_watch.look()
    mailbox.down = False
    assert staffed.alert_mailer.mail(mailbox) == 2
    assert len(mailbox.mails) == 1


def test_a_mail_whose_task_is_cut_off_is_sent_by_the_next_try(staffed: App, mailbox: Mailbox) -> None:
    class CutOffError(BaseException):
        """As Airflow raises at a task's time limit."""

    def silent_server(_mail: AlertMail) -> None:
        raise CutOffError

    raised(staffed, TWILIO)
    with pytest.raises(CutOffError):
        staffed.alert_mailer.mail(silent_server)
    assert staffed.alert_mailer.mail(mailbox) == 1


def test_nothing_personal_is_in_a_mail_or_in_an_alert(
    staffed: App, hospital: Hospital, mailbox: Mailbox, clock: SetClock
) -> None:
    personal = ("Zephyrine", "+4915199988877", "15199988877", "zephyrine@example.org", "pat-zephyr", "Cardiology X")
    hospital.add_patient("pat-zephyr", given_name="Zephyrine", phone=personal[1], mail=personal[3])
    hospital.add_appointment("a1", "pat-zephyr", venue="Cardiology X")
    staffed.reminder_planner.plan(NOON.date())
    hospital.query(
        "UPDATE notifications SET status = 'failed', reason = 'carrier', finished_at = %s, followed_up_at = %s"
        " RETURNING 1",
        NOON,
        NOON,
    )
    staffed.delivery_watch.look()
    staffed.alert_mailer.mail(mailbox)
    (mail,) = mailbox.mails
    kept = str(hospital.query("SELECT a::text FROM alerts a"))
    assert "for 1 patient" in mail.text
    for text in (mail.subject, mail.text, mail.html, mail.message_id, kept):
        assert not [word for word in personal if word in text]


class Killed(BaseException):
    """The process is gone in the middle of it."""


class ShortLived(AlertMailer):
    """The mailer of a process that is killed: it does nothing more."""

    def _end_lease(self, *_: object, **__: object) -> None:
        pass


def killed_after(mailbox: Mailbox) -> Callable[[AlertMail], None]:
    def send(mail: AlertMail) -> None:
        mailbox(mail)
        raise Killed

    return send


def test_after_a_crash_between_sending_and_noting_it_the_very_same_mail_is_sent_again(
    staffed: App, messages: Messages, mailbox: Mailbox, clock: SetClock
) -> None:
    messages.add(3)
    staffed.delivery_watch.look()
    with pytest.raises(Killed):
        ShortLived(staffed.database, staffed.settings, staffed.clock).mail(killed_after(mailbox))
    messages.add(4, name="b")
    staffed.delivery_watch.look()
    clock.advance(seconds=30)
    assert staffed.alert_mailer.mail(mailbox) == 1  # whoever began the first one may still be at it
    clock.advance(minutes=6)
    assert staffed.alert_mailer.mail(mailbox) == 1
    first, others, again = mailbox.mails
    assert again == first
    assert others.message_id != first.message_id
    assert "4 messages" in others.text
    assert staffed.alert_mailer.mail(mailbox) == 0


def test_an_answer_that_was_lost_leaves_the_very_same_mail_for_the_next_time(
    staffed: App, messages: Messages, mailbox: Mailbox, clock: SetClock
) -> None:
    messages.add(3)
    staffed.delivery_watch.look()
    mailbox.answers_lost = True
    with pytest.raises(AlertNotSentError):
        staffed.alert_mailer.mail(mailbox)
    mailbox.answers_lost = False
    messages.add(4, name="b")
    staffed.delivery_watch.look()
    assert staffed.alert_mailer.mail(mailbox) == 2
    first, again, others = mailbox.mails
    assert first == again
    assert "4 messages" in others.text


def test_what_is_over_meanwhile_does_not_change_a_mail_that_was_begun(
    staffed: App, mailbox: Mailbox, clock: SetClock
) -> None:
    raised(staffed, TWILIO)
    with pytest.raises(Killed):
        ShortLived(staffed.database, staffed.settings, staffed.clock).mail(killed_after(mailbox))
    clock.advance(minutes=6)
    over(staffed, AlertKind.PROVIDER_DOWN)
    staffed.alert_mailer.mail(mailbox)
    assert mailbox.mails[0] == mailbox.mails[1]
    over(staffed, AlertKind.PROVIDER_DOWN)
    staffed.alert_mailer.mail(mailbox)
    assert mailbox.mails[2].subject == "carenotify: over: twilio is down"


def test_several_mailers_send_each_alert_once(staffed: App, messages: Messages, mailbox: Mailbox) -> None:
    for number in range(30):
        messages.add(1, name=f"{number}-", reason=f"reason {number}")
    staffed.delivery_watch.look()
    with ThreadPoolExecutor(6) as mailers:
        done = [mailers.submit(staffed.alert_mailer.mail, mailbox) for _ in range(6)]
    assert sum(one.result() for one in done) == 30
    assert len(mailbox.mails) == 1


def test_the_end_of_what_lasted_is_told_by_the_next_mail_and_it_may_begin_anew(
    staffed: App, mailbox: Mailbox, clock: SetClock
) -> None:
    raised(staffed, TWILIO, TWILIO)
    raised(staffed, TWILIO)
    assert staffed.alert_mailer.mail(mailbox) == 1
    clock.advance(minutes=32)
    over(staffed, AlertKind.PROVIDER_DOWN)
    assert staffed.alert_mailer.mail(mailbox) == 1
    assert "told at 2026-11-24 09:30, over at 2026-11-24 10:02" in mailbox.mails[1].text
    over(staffed, AlertKind.PROVIDER_DOWN)
    assert staffed.alert_mailer.mail(mailbox) == 0
    raised(staffed, TWILIO)
    assert staffed.alert_mailer.mail(mailbox) == 1
    assert len(all_alerts(staffed)) == 2


def test_what_was_over_before_it_was_mailed_is_told_once_as_that(staffed: App, mailbox: Mailbox) -> None:
    raised(staffed, TWILIO)
    over(staffed, AlertKind.PROVIDER_DOWN)
    assert staffed.alert_mailer.mail(mailbox) == 1
    assert "What to do" not in mailbox.mails[0].text
    assert staffed.alert_mailer.mail(mailbox) == 0


def test_a_day_without_a_plan_is_told_once_although_it_is_over(staffed: App, mailbox: Mailbox) -> None:
    day = NewAlert(AlertKind.NO_PLAN, "2026-11-24", "no_plan:2026-11-24")
    raised(staffed, day)
    over(staffed, AlertKind.NO_PLAN)
    raised(staffed, day)
    assert staffed.alert_mailer.mail(mailbox) == 1


# --- what Airflow's callbacks note -----------------------------------------------------------


def failed(app: App, run: str = "run 1") -> UUID | None:
    return note_run_failed(app.database, "send_reminders", run, "look at it", app.clock())


def test_a_run_that_failed_is_the_callers_to_mail_and_not_mailed_again(
    staffed: App, mailbox: Mailbox, clock: SetClock
) -> None:
    mail_id = failed(staffed)
    assert mail_id is not None
    assert failed(staffed) is None  # called twice for one failure
    assert staffed.alert_mailer.mail(mailbox) == 0
    note_mailed(staffed.database, mail_id, clock())
    clock.advance(minutes=10)
    assert staffed.alert_mailer.mail(mailbox) == 0
    assert failed(staffed) not in {None, mail_id}  # cleared, and failed again


@pytest.mark.parametrize("said_so", [True, False], ids=["refused", "killed"])
def test_what_the_caller_could_not_mail_is_mailed_later(
    staffed: App, mailbox: Mailbox, clock: SetClock, said_so: bool
) -> None:
    mail_id = failed(staffed)
    assert mail_id is not None
    if said_so:
        note_unmailed(staffed.database, mail_id)
    else:
        clock.advance(minutes=6)
    assert staffed.alert_mailer.mail(mailbox) == 1
    (mail,) = mailbox.mails
    assert mail.subject == "carenotify: send_reminders failed"
    assert (str(mail_id) in mail.message_id) is not said_so  # else the caller's mail may have arrived
    assert "/dags/send_reminders/runs/run%201" in mail.text
    assert "look at it" in mail.text


def test_a_deadline_and_a_failure_of_one_run_are_two_things(staffed: App, mailbox: Mailbox, clock: SetClock) -> None:
    failed(staffed)
    assert note_deadline_missed(staffed.database, "send_reminders", "run 1", "look", clock()) is not None
    clock.advance(minutes=6)
    assert staffed.alert_mailer.mail(mailbox) == 2


def test_a_page_of_alerts_is_newest_first(app: App) -> None:
    for number in range(5):
        raised(app, NewAlert(AlertKind.TASK_FAILED, f"run {number}"))
    with app.database.transaction() as transaction:
        first = alerts.page(transaction, limit=3)
        rest = alerts.page(transaction, before=first[-1].id, limit=3)
    assert [one.subject for one in (*first, *rest)] == [f"run {number}" for number in (4, 3, 2, 1, 0)]


def test_a_lease_is_over_when_its_time_is(app: App) -> None:
    raised(app, TWILIO)
    with app.database.transaction() as transaction:
        leased = alerts.lease_unmailed(transaction, now=NOON, until=NOON + timedelta(minutes=3))
        assert leased is not None
        assert alerts.lease_unmailed(transaction, now=NOON, until=NOON + timedelta(minutes=3)) is None
        later = NOON + timedelta(minutes=3)
        assert alerts.lease_unmailed(transaction, now=later, until=later) == leased
