"""The day's report as staff read it: the share first, then why, and safe to open."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify.config import Settings
from carenotify.domain.alert_mail import AlertMail
from carenotify.domain.window import SendWindow
from carenotify.journeys.report_coverage import CoverageReport
from carenotify.journeys.report_delivery import DeliveryReport
from carenotify.journeys.report_evening import EveningReport, Unreached
from carenotify.journeys.word_report import word_report
from carenotify.storage.evening_report import MessagesOfKind

EVENING = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
NOBODY = CoverageReport(patients=0, with_phone=0, with_email=0, with_any=0, share=None)
EMPTY = EveningReport(
    day=date(2026, 11, 21),
    counted_at=EVENING,
    closes=EVENING - timedelta(hours=6),
    planned=True,
    plan_missed=False,
    delivery=DeliveryReport(
        day="2026-11-21",
        appointments_due=0,
        patient_days_due=0,
        patient_days_reached=0,
        untold=0,
        appointments_untold=0,
        reached_share=None,
        notifications=0,
        reached_by_channel={},
        by_channel={},
        by_status={},
        by_reason={},
        fallbacks=0,
        possible_duplicates=0,
        suppressions={},
        receipts={},
        dead_letters={},
        skipped={},
        quarantined=0,
        addresses_left_out=0,
        notification_ids={},
    ),
    unreached=Unreached({}, {}, 0),
    changes=0,
    other_messages=[],
    coverage=NOBODY,
    dead_letters_open=0,
    loads={},
)


def settings(**others: Any) -> Settings:
    usual = {
        "public_url": "http://mail.example/",
        "hospital_name": "St. Mary",
        "timezone": ZoneInfo("Europe/Berlin"),
        "send_window": SendWindow.parse("09:00-12:00"),
        "alert_plan_grace_minutes": 15.0,
        "report_time": time(18),
    }
    return cast(Settings, SimpleNamespace(**usual | others))


def worded(report: EveningReport, **others: Any) -> AlertMail:
    return word_report(report, message_id="<1@example.org>", settings=settings(**others))


def of_day(*, due: int, reached: int, **fields: Any) -> EveningReport:
    share = reached / due if due else None
    counted = {"patient_days_due": due, "patient_days_reached": reached, "reached_share": share}
    return replace(EMPTY, delivery=EMPTY.delivery.model_copy(update=counted | fields))


def rows(mail: AlertMail, title: str) -> dict[str, list[str]]:
    """The table under a title in the text: of each name its numbers."""
    section = mail.text.partition(f"\n{title}\n---")[2].partition("\n\n")[0]
    found = [re.split(r"\s{2,}", line.strip()) for line in section.splitlines()[1:]]
    return {name: numbers for name, *numbers in found if numbers}


@pytest.mark.parametrize(
    ("due", "reached", "subject"),
    [
        (7934, 7791, "98.1 % of 7,934 reached, 143 not (target 99 %): report of 21 Nov 2026, St. Mary"),
        (1000, 989, "98.9 % of 1,000 reached, 11 not (target 99 %): report of 21 Nov 2026, St. Mary"),
        (1000, 990, "99.0 % of 1,000 reached, 10 not: report of 21 Nov 2026, St. Mary"),
        (2, 2, "100.0 % of 2 reached, 0 not: report of 21 Nov 2026, St. Mary"),
        (2, 0, "0.0 % of 2 reached, 2 not (target 99 %): report of 21 Nov 2026, St. Mary"),
        (0, 0, "nobody was due: report of 21 Nov 2026, St. Mary"),
    ],
)
def test_the_subject_says_the_share_and_whether_it_misses_the_target(due: int, reached: int, subject: str) -> None:
    assert worded(of_day(due=due, reached=reached)).subject == subject


def test_a_target_that_is_met_before_the_window_ends_is_met() -> None:
    mail = worded(replace(of_day(due=100, reached=99), closes=EVENING + timedelta(hours=1)))
    assert mail.subject == "99.0 % of 100 reached, 1 not: report of 21 Nov 2026, St. Mary"
    assert "That meets the target" in mail.text


def test_a_subject_is_one_line_whatever_the_hospital_is_called() -> None:
    assert worded(EMPTY, hospital_name="St.\r\nBcc: x@y.example").subject.endswith("St. Bcc: x@y.example")


@pytest.mark.parametrize(
    ("reached", "tone", "said"),
    [(99, "good", "That meets the target of 99 %."), (98, "below", "That is below the target of 99 %.")],
)
def test_a_day_is_measured_against_the_target(reached: int, tone: str, said: str) -> None:
    mail = worded(of_day(due=100, reached=reached))
    assert f'class="result {tone}"' in mail.html
    assert f"{reached}.0 % reached" in mail.text
    assert said in mail.text
    assert said in mail.html


def test_a_day_on_which_nothing_was_due_says_so_in_each_of_its_parts() -> None:
    mail = worded(EMPTY)
    for said in (
        "Nobody was due",
        "No patient was to be reminded on this day.",
        "No reminders were made.",
        "No appointment was left out.",
        "No messages besides reminders.",
        "No patient has an appointment ahead.",
        "No appointments were loaded on this day.",
    ):
        assert said in mail.text
        assert said in mail.html
    assert "!" not in mail.text
    assert "arrived" not in mail.text


def test_that_every_reminder_arrived_is_said_only_where_there_were_any() -> None:
    assert rows(worded(EMPTY), "Not reached, and why") == {}
    assert "Every reminder arrived." in worded(of_day(due=1, reached=1, notifications=1)).text


def test_what_staff_ask_first_stands_first() -> None:
    mail = worded(EMPTY)
    order = [
        "Nobody was due",
        "By channel",
        "Not reached, and why",
        "Not told, for a reason",
        "Wrong data and addresses",
        "Addresses left alone from this day on",
        "Changes and other messages",
        "Second ways, and doubts",
        "Contact coverage",
        "Waiting for a person",
        "Loads of appointments",
    ]
    for body in (mail.text, mail.html):
        assert sorted(order, key=body.index) == order


def full_day() -> EveningReport:
    """A day with something of everything."""
    report = of_day(
        due=100,
        reached=90,
        by_channel={"sms": 80, "email": 40},
        reached_by_channel={"sms": 70, "email": 35},
        notifications=117,
        by_status={"failed": 9, "expired": 2, "suppressed": 1, "delivered": 105},
        skipped={"deceased": 1, "cancelled": 12},
        untold=3,
        quarantined=4,
        addresses_left_out=5,
        suppressions={"bounced": 6, "opted_out": 1},
        fallbacks=7,
        possible_duplicates=1,
    )
    return replace(
        report,
        unreached=Unreached({"window_closed": 2, "address_rejected": 10}, {"address_rejected": 6}, 1),
        changes=21,
        other_messages=[MessagesOfKind("rescheduled", 20, 19, 1, 2)],
        coverage=CoverageReport(patients=1000, with_phone=900, with_email=500, with_any=989, share=0.989),
        dead_letters_open=1700,
        loads={"failed": 1, "loaded": 47},
    )


_TABLES: dict[str, dict[str, list[str]]] = {
    "By channel": {
        "messages": ["patients reached", "of due"],
        "E-mail": ["40", "35", "35.0 %"],
        "SMS": ["80", "70", "70.0 %"],
    },
    "Not reached, and why": {
        "messages": ["patients not reached"],
        "No such address": ["10", "6"],
        "Out of time": ["2", "0"],
        "Still on the way": ["1"],
        "Untold: no message, and no reason": ["3"],
    },
    "Not told, for a reason": {"Cancelled": ["12"], "Patient has died": ["1"]},
    "Wrong data and addresses": {"Rows in quarantine": ["4"], "Addresses left out as wrong": ["5"]},
    "Addresses left alone from this day on": {"Came back": ["6"], "Opted out": ["1"]},
    "Changes and other messages": {"messages": ["sent", "failed"], "New time": ["20", "19", "1"]},
    "Second ways, and doubts": {"Replaced another message": ["7"], "May have come twice": ["3"]},
    "Contact coverage": {
        "patients": ["of all"],
        "With a mobile phone": ["900", "90.0 %"],
        "With an e-mail address": ["500", "50.0 %"],
        "With any of them": ["989", "98.9 %"],
        "Cannot be reached": ["11"],
    },
    "Waiting for a person": {"Open dead letters, of all days": ["1,700"]},
    "Loads of appointments": {"Taken over": ["47"], "Failed": ["1"]},
}


@pytest.mark.parametrize(("title", "table"), _TABLES.items(), ids=_TABLES)
def test_every_figure_has_its_place_and_its_plain_words(title: str, table: dict[str, list[str]]) -> None:
    assert rows(worded(full_day()), title) == table


@pytest.mark.parametrize(
    "note",
    ["Of the messages: 9 failed, 2 too late, 1 held back.", "21 changes of appointments came in."],
)
def test_what_a_table_does_not_say_stands_below_it(note: str) -> None:
    assert note in worded(full_day()).text


class _Cells(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.links: list[str | None] = []
        self._within = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag in {"td", "th"}
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        if self._within:
            self.cells.append(data)
        self._within = False


def test_the_html_says_the_same_as_the_text() -> None:
    mail = worded(replace(of_day(due=100, reached=90, skipped={"deceased": 1234}), loads={"held": 2}))
    cells = _Cells(mail.html).cells
    for name, number in {"Patient has died": "1,234", "Held back, waiting for a person": "2"}.items():
        assert cells[cells.index(name) + 1] == number


def test_both_parts_lead_to_that_days_report_on_the_page() -> None:
    mail, address = worded(EMPTY), "http://mail.example/carenotify/page#reports?date=2026-11-21"
    assert _Cells(mail.html).links == [address]
    assert f"On the page: {address}\n" in mail.text


def test_the_time_at_which_it_was_counted_is_the_hospitals() -> None:
    assert "Counted at 18:00 on 2026-11-21 (Europe/Berlin)." in worded(EMPTY).text


# --- what has to be said ahead of the figures ------------------------------------------------


def test_whoever_is_untold_is_to_be_called() -> None:
    for untold, said in ((1, "1 patient was neither told"), (3, "3 patients were neither told")):
        assert f"! {said} nor left out for a reason" in worded(of_day(due=10, reached=7, untold=untold)).text


def test_whoever_is_untold_is_named_also_while_the_window_is_open() -> None:
    mail = worded(replace(of_day(due=10, reached=7, untold=3), closes=EVENING + timedelta(hours=1)))
    assert "! The send window (09:00-12:00) is not over" in mail.text
    assert "! 3 patients were so far neither told nor left out for a reason" in mail.text


def test_a_day_that_was_never_planned_says_so_in_the_place_of_whom_to_call() -> None:
    mail = worded(replace(of_day(due=10, reached=0, untold=10), planned=False, plan_missed=True))
    assert "! The day's reminders were not planned in time, so nobody was told: 10 patients." in mail.text
    assert "docs/operations.md#no_plan" in mail.text
    assert "have them called" not in mail.text


def test_a_plan_that_was_missed_is_told_although_the_window_ends_after_the_report() -> None:
    missed = replace(of_day(due=500, reached=0, untold=500), planned=False, plan_missed=True)
    mail = worded(replace(missed, closes=EVENING + timedelta(hours=7)), send_window=SendWindow.parse("00:00-24:00"))
    assert "! The send window (00:00-24:00) is not over" in mail.text
    assert "! The day's reminders were not planned in time" in mail.text


def test_a_plan_that_was_missed_while_nobody_was_due_contradicts_nothing() -> None:
    mail = worded(replace(EMPTY, planned=False, plan_missed=True))
    assert "Nobody was due" in mail.text
    assert "! The day's reminders were not planned in time, but nobody is known who was due." in mail.text


def test_a_day_of_which_nothing_is_known_has_no_figures_and_accuses_nobody() -> None:
    mail = worded(replace(EMPTY, planned=False))
    assert mail.subject == "no figures of this day: report of 21 Nov 2026, St. Mary"
    assert "No figures of this day. No reminders had been planned" in mail.text
    assert "Nobody was due" not in mail.text
    assert "!" not in mail.text


def test_a_hospital_that_sends_no_reminders_misses_no_plan() -> None:
    mail = worded(replace(EMPTY, planned=False), alert_plan_grace_minutes=0.0)
    assert "Nobody was due" in mail.text
    assert "!" not in mail.text


def test_a_report_ahead_of_the_windows_end_says_so_and_accuses_nobody() -> None:
    early = replace(of_day(due=10, reached=0, untold=10), planned=False, closes=EVENING + timedelta(hours=1))
    mail = worded(early)
    assert mail.subject == "so far 0.0 % of 10 reached: report of 21 Nov 2026, St. Mary"
    assert 'class="result open"' in mail.html
    assert "Of 10 patients due, 0 were reached so far.\n" in mail.text
    assert "! The send window (09:00-12:00) is not over" in mail.text
    assert "not planned" not in mail.text
    assert "have them called" not in mail.text


def test_it_says_when_it_comes_as_it_is_set() -> None:
    mail = worded(EMPTY, report_time=time(6, 45))
    assert "This report comes every day at 06:45" in mail.text
    assert "evening" not in mail.text + mail.html


# --- safe to open ----------------------------------------------------------------------------

HOSTILE = "<script>alert('x')</script>&amp;\"{{ 7 * 7 }}"


def test_what_comes_from_settings_or_rows_is_shown_and_never_run() -> None:
    mail = worded(of_day(due=1, reached=0, skipped={HOSTILE: 1}), hospital_name=HOSTILE)
    assert "<script" not in mail.html
    assert "{{ 7 * 7 }}" in mail.text
    assert HOSTILE.capitalize() in _Cells(mail.html).cells


NUMBERS = st.dictionaries(st.sampled_from(["bounced", "deceased", "held", "sms", "what_is_new"]), st.integers(0, 10**6))


@given(due=st.integers(0, 10**6), missed=st.integers(0, 10**6), counted=NUMBERS, patients=st.integers(0, 10**6))
def test_whatever_was_counted_the_mail_can_be_worded(
    due: int, missed: int, counted: dict[str, int], patients: int
) -> None:
    day = of_day(due=due, reached=max(0, due - missed), skipped=counted, by_channel=counted, by_status=counted)
    coverage = CoverageReport(patients=patients, with_phone=0, with_email=patients, with_any=patients, share=None)
    mail = worded(replace(day, unreached=Unreached(counted, counted, due), loads=counted, coverage=coverage))
    assert len(mail.subject.splitlines()) == 1
    assert max(map(len, re.findall(r"^.*\d$", mail.text, re.MULTILINE)), default=0) < 80
