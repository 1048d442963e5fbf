"""The mail that staff read: complete, short, grouped, the gravest first, and safe to open."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from carenotify.config import Settings
from carenotify.domain.alert import Alert, AlertKind, Told
from carenotify.domain.alert_mail import AlertMail, message_id_of
from carenotify.domain.alert_words import grouped
from carenotify.journeys.word_alerts import word_alerts

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SETTINGS = cast(
    Settings,
    SimpleNamespace(public_url="http://mail.example/", hospital_name="St. Mary", timezone=ZoneInfo("Europe/Berlin")),
)


def alert(kind: AlertKind, subject: str = "it", *, over: bool = False, number: int = 1, **fields: Any) -> Alert:
    usual = {"channel": "sms", "count": 1, "details": {}} | fields
    until = NOW + timedelta(minutes=5) if over else None
    return Alert(number, kind, subject, raised_at=NOW, resolved_at=until, mailed_at=None, **usual)


def failures(count: int, told: Told = Told.NOBODY, subject: str = "sms failed carrier 30003", **more: Any) -> Alert:
    details = {"status": "failed", "reason": "carrier", "code": "30003", "told": told.value, "patients": count}
    return alert(AlertKind.DELIVERY_FAILED, subject, count=count, details=details | more)


def worded(*alerts: Alert) -> AlertMail:
    return word_alerts(alerts, message_id="<1@example.org>", settings=SETTINGS)


def test_what_is_gravest_stands_first_and_what_is_over_last() -> None:
    mail = worded(
        failures(3, Told.OTHERWISE),
        alert(AlertKind.PROVIDER_DOWN, "twilio", over=True),
        failures(2),
        alert(AlertKind.NO_PLAN, "2026-11-21"),
    )
    titles = re.findall(r"^(.+)\n=+$", mail.text, re.MULTILINE)
    assert titles == [
        "The day's reminders were not planned",
        "Messages failed, and nobody was reached (2)",
        "Messages failed, and their patients were told otherwise (3)",
        "Over by now",
    ]
    assert mail.subject == (
        "carenotify: no plan for 2026-11-21; 2 messages failed; 3 messages failed, told otherwise; and 1 more"
    )


def test_each_group_has_counts_times_samples_and_a_link_to_such_messages() -> None:
    ids = [f"0000{number}" for number in range(5)]
    mail = worded(failures(1234, samples=ids, first="2026-11-21T08:00:00+00:00", last="2026-11-21T08:30:00+00:00"))
    assert (
        "sms, failed, carrier, code 30003: 1,234 messages for 1,234 patients, 2026-11-21 09:00 to 2026-11-21 09:30"
        in mail.text
    )
    assert "For example: 00000, 00001, 00002, 00003, 00004" in mail.text
    link = "http://mail.example/carenotify/page#messages?channel=sms&status=failed&reason=carrier"
    assert link in mail.text
    assert link.replace("&", "&amp;") in mail.html


def test_runs_of_dags_are_linked_where_airflow_shows_them_and_say_what_their_dag_asks_for() -> None:
    details = {"dag_id": "send_reminders", "run": "scheduled__2026-11-21T08:00:00+00:00", "what_to_do": "Do this."}
    other = details | {"dag_id": "ingest_appointments", "what_to_do": "Do that."}
    mail = worded(alert(AlertKind.TASK_FAILED, "a", details=details), alert(AlertKind.TASK_FAILED, "b", details=other))
    assert "http://mail.example/dags/send_reminders/runs/scheduled__2026-11-21T08%3A00%3A00%2B00%3A00" in mail.text
    assert mail.text.index("send_reminders") < mail.text.index("What to do: Do this.") < mail.text.index("Do that.")


def test_many_runs_of_one_dag_are_one_line_which_leads_to_the_last_one() -> None:
    runs = [
        alert(
            AlertKind.TASK_FAILED, f"{number}", number=number, details={"dag_id": "watch_delivery", "run": f"r{number}"}
        )
        for number in range(1, 61)
    ]
    mail = worded(*runs)
    assert mail.subject == "carenotify: watch_delivery failed"
    assert "- watch_delivery: 60 runs, the last one is run r60, at 2026-11-21 09:00" in mail.text
    assert mail.text.count("/dags/watch_delivery/runs/") == 1


def loads(status: str, *numbers: int, over: bool = False) -> list[Alert]:
    details = {"status": status, "reason": "612 changes", "dag_id": "ingest_appointments"}
    return [
        alert(AlertKind.LOAD_HELD, number=number, over=over, details=details | {"run": f"r{number}"})
        for number in numbers
    ]


def test_a_load_that_waits_for_a_person_is_told_from_one_that_failed_and_says_how_to_let_it_in() -> None:
    mail = worded(*loads("held", 1), *loads("failed", 2))
    assert mail.subject == "carenotify: 1 load held; 1 load not taken over"
    held, failed = mail.text.split("A load of appointments was not taken over")
    assert "A load of appointments is held" in held
    assert "http://mail.example/dags/ingest_appointments/runs/r1" in held
    assert "release_run_id" in held
    assert "this is over by itself" in failed
    assert "release_run_id" not in failed
    assert worded(*loads("held", 1, over=True)).subject == "carenotify: over: 1 load held"


def test_each_held_load_is_named_and_linked_by_itself_with_what_else_it_lacks() -> None:
    first, second = loads("held", 1, 2)
    lacking = replace(second, details={**second.details, "besides": ["days that did not come whole: 2026-11-26"]})
    mail = worded(first, lacking)
    assert mail.subject == "carenotify: 2 loads held"
    assert "- load r1 is held: 612 changes\n" in mail.text
    assert "- load r2 is held: 612 changes; days that did not come whole: 2026-11-26\n" in mail.text
    assert mail.text.count("http://mail.example/dags/ingest_appointments/runs/r") == 2


def test_a_mail_of_very_many_groups_stays_short_and_says_how_many_are_left_out() -> None:
    mail = worded(*(failures(number, subject=f"code {number}") for number in range(1, 201)))
    assert "and 150 more, on the page" in mail.text
    assert "Messages failed, and nobody was reached (20,100)" in mail.text
    assert "200 messages for" in mail.text  # the largest are shown


HOSTILE = '<script>alert(1)</script>"&\r\nBcc: all@example.org'


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, _attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)


def test_what_strangers_had_a_hand_in_can_do_no_harm() -> None:
    details = {"dag_id": HOSTILE, "run": HOSTILE, "what_to_do": HOSTILE, "code": HOSTILE, "reason": HOSTILE}
    for kind in AlertKind:
        told = {"told": "nobody"} if kind is AlertKind.DELIVERY_FAILED else {}
        mail = worded(alert(kind, HOSTILE, details=details | {"queue": HOSTILE, "samples": [HOSTILE]} | told))
        parser = _Tags()
        parser.feed(mail.html)
        assert "script" not in parser.tags
        assert len(mail.subject.splitlines()) == 1


ALERTS = st.lists(
    st.builds(
        failures,
        st.integers(1, 9999),
        st.sampled_from(list(Told)),
        st.sampled_from(["sms failed carrier", "email bounced bounced", "sms expired window_closed"]),
    ),
    max_size=12,
)


@given(ALERTS)
def test_grouping_neither_loses_nor_adds_a_message_and_each_kind_of_ending_keeps_its_sum(alerts: list[Alert]) -> None:
    groups = grouped(alerts)
    for told in Told:
        of_alerts = sum(one.count for one in alerts if one.told is told)
        assert sum(group.count for group in groups if group.told is told) == of_alerts
        if of_alerts:
            assert f"({of_alerts:,})" in worded(*alerts).text
    assert len(groups) == len({(one.subject, one.told) for one in alerts})


@given(ALERTS)
def test_the_same_alerts_are_the_same_mail(alerts: list[Alert]) -> None:
    assert worded(*alerts) == worded(*alerts)


def test_a_message_id_ends_with_the_host_of_the_sender() -> None:
    mail_id = UUID(int=1)
    assert message_id_of(mail_id, "St. Mary <info@hospital.example>") == f"<carenotify-{mail_id}@hospital.example>"
    assert message_id_of(mail_id, None) == f"<carenotify-{mail_id}@localhost>"
