# ruff: noqa: RUF001 - Turkish and French letters
"""What a patient is told of a change: what was, what is, and never the one for the other."""

from __future__ import annotations

from datetime import UTC, datetime
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from carenotify.domain.kinds import KINDS, AppointmentLine, ChangeData, MessageData
from carenotify.domain.notification import Channel
from carenotify.domain.sms_size import sms_size
from carenotify.domain.wording import Hospital, Wording, render
from carenotify.templates import load_template_files

HOSPITAL = Hospital("Klinikum Nord", "+49 30 1234567", ZoneInfo("Europe/Berlin"))
FILES = {(file.code, file.channel, file.language): file for file in load_template_files()}
LANGUAGES = ["en", "de", "fr", "tr"]
PLACE, OLD_PLACE = "Kardiologie, Haus B, Ebene 2", "Radiologie, Haus A, Ebene 1"
NEW = AppointmentLine(start=datetime(2026, 11, 24, 9, 30, tzinfo=UTC), venue=PLACE)
OLD = AppointmentLine(start=datetime(2026, 11, 23, 7, 15, tzinfo=UTC), venue=PLACE)
DAYS = {  # of NEW and OLD, short as in an SMS and long as in a mail
    "en": (
        "Tue 24 Nov 10:30",
        "Mon 23 Nov 08:15",
        "Tuesday, 24 November 2026, 10:30",
        "Monday, 23 November 2026, 08:15",
    ),
    "de": (
        "Di., 24. Nov. 10:30",
        "Mo., 23. Nov. 08:15",
        "Dienstag, 24. November 2026, 10:30",
        "Montag, 23. November 2026, 08:15",
    ),
    "fr": (
        "mar. 24 nov. 10:30",
        "lun. 23 nov. 08:15",
        "mardi 24 novembre 2026, 10:30",
        "lundi 23 novembre 2026, 08:15",
    ),
    "tr": ("24 Kas Sal 10:30", "23 Kas Pzt 08:15", "24 Kasım 2026 Salı, 10:30", "23 Kasım 2026 Pazartesi, 08:15"),
}
NO_LONGER = {"en": "no longer valid", "de": "gilt nicht mehr", "fr": "n’est plus valable", "tr": "artık geçerli değil"}
INSTEAD_OF_TIME = {"en": "(instead of {})", "de": "(statt {})", "fr": "(au lieu du {})", "tr": "({} yerine)"}
INSTEAD_OF_PLACE = INSTEAD_OF_TIME | {"fr": "(au lieu de {})"}
INSTEAD_WORDS = ("instead", "(statt", "statt bisher", "au lieu", "yerine", "eski")


def change(
    *, old: AppointmentLine | None = OLD, new: AppointmentLine | None = NEW, given_name: str | None = "Anna"
) -> ChangeData:
    return ChangeData(given_name=given_name, old=old, new=new)


def place_changed(old: str = OLD_PLACE, new: str = PLACE, *, given_name: str | None = "Anna") -> ChangeData:
    before, after = (NEW.model_copy(update={"venue": venue}) for venue in (old, new))
    return change(old=before, new=after, given_name=given_name)


def worded(code: str, channel: Channel, language: str, data: BaseModel, hospital: Hospital = HOSPITAL) -> Wording:
    return render(FILES[code, channel, language], data, hospital=hospital)


def sms(code: str, data: BaseModel, language: str = "en") -> str:
    return worded(code, Channel.SMS, language, data).text


def mail_bodies(code: str, data: BaseModel, language: str) -> list[str]:
    """The text, and the html without its tags' entities."""
    mail = worded(code, Channel.EMAIL, language, data)
    assert mail.html is not None
    return [mail.text, unescape(mail.html)]


# --- moved -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (
            "en",
            (
                "Klinikum Nord: Your appointment is now Tue 24 Nov 10:30 Kardiologie, Haus B, Ebene 2 "
                "(instead of Mon 23 Nov 08:15). Tel. +49 30 1234567. Reply STOP to stop"
            ),
        ),
        (
            "de",
            (
                "Klinikum Nord: Anna, Ihr Termin neu: Di., 24. Nov. 10:30 Kardiologie, Haus B, Ebene 2 "
                "(statt Mo., 23. Nov. 08:15). Tel. +49 30 1234567. Abmelden: STOP antworten"
            ),
        ),
        (
            "fr",
            (
                "Klinikum Nord : votre RDV passe au mar. 24 nov. 10:30 Kardiologie, Haus B, Ebene 2 "
                "(au lieu du lun. 23 nov. 08:15). Tél. +49 30 1234567. Désabonnement : STOP"
            ),
        ),
        (
            "tr",
            (
                "Klinikum Nord: randevunuz artik 24 Kas Sal 10:30 Kardiologie, Haus B, Ebene 2 "
                "(23 Kas Pzt 08:15 yerine). Tel. +49 30 1234567. Mesaj almamak icin STOP yazin"
            ),
        ),
    ],
)
def test_an_sms_says_the_new_time_first_and_the_old_one_as_replaced(language: str, text: str) -> None:
    assert sms("rescheduled", change(), language) == text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_says_the_new_time_first_and_the_old_one_once_as_no_longer_valid(language: str) -> None:
    short, old_short, new_day, old_day = DAYS[language]
    for body in mail_bodies("rescheduled", change(), language):
        assert body.index(new_day) < body.index(NO_LONGER[language]) < body.index(old_day)
        assert body.count(old_day) == 1
        assert body.count("08:15") == 1
        assert body.count(PLACE) == 1
    subject = worded("rescheduled", Channel.EMAIL, language, change()).subject or ""
    assert short in subject
    assert old_short not in subject


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_move_to_another_place_says_both_places(language: str) -> None:
    data = change(old=OLD.model_copy(update={"venue": OLD_PLACE}))
    new, old, new_day, old_day = DAYS[language]
    told = sms("rescheduled", data, language)
    assert f"{new} {PLACE}" in told
    assert INSTEAD_OF_TIME[language].format(f"{old} {OLD_PLACE}") in told
    for body in mail_bodies("rescheduled", data, language):
        parts = [new_day, PLACE, NO_LONGER[language], old_day, OLD_PLACE]
        assert sorted(parts, key=body.index) == parts


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", ["rescheduled", "venue_changed"])
def test_what_was_never_known_is_not_told(code: str, channel: Channel, language: str) -> None:
    wording = worded(code, channel, language, change(old=None))
    for body in (wording.text, wording.html or wording.text):
        assert "10:30" in body
        assert PLACE in body
        assert "08:15" not in body
        assert NO_LONGER[language] not in body
        assert not [word for word in INSTEAD_WORDS if f" {word}" in body.lower()]


def test_the_hour_that_comes_twice_says_which_one_it_is() -> None:
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    data = change(old=AppointmentLine(start=first, venue="Lab"), new=AppointmentLine(start=second, venue="Lab"))
    assert "is now Sun 25 Oct 02:30 CET Lab (instead of Sun 25 Oct 02:30 CEST)" in sms("rescheduled", data)


# --- another place ---------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_new_place_is_told_with_its_time_and_the_place_that_it_replaces(language: str) -> None:
    new, _, new_day, _ = DAYS[language]
    told = sms("venue_changed", place_changed(), language)
    assert told.index(new) < told.index(PLACE) < told.index(OLD_PLACE)
    assert INSTEAD_OF_PLACE[language].format(OLD_PLACE) in told
    for body in mail_bodies("venue_changed", place_changed(), language):
        assert sorted(parts := [new_day, PLACE, NO_LONGER[language], OLD_PLACE], key=body.index) == parts
        assert body.count(OLD_PLACE) == 1
    subject = worded("venue_changed", Channel.EMAIL, language, place_changed()).subject or ""
    assert new in subject
    assert OLD_PLACE not in subject


def test_long_places_are_cut_to_save_a_segment_and_still_are_two() -> None:
    told = sms("venue_changed", place_changed(old=f"{OLD_PLACE}, Wartebereich C", new=f"{PLACE}, Wartebereich B"))
    assert sms_size(told).segments == 1
    assert "Kardiologie, Haus B, Ebene 2... (instead of Radiologie, Haus A, Ebene 1...)" in told


def test_two_places_never_become_one_by_cutting() -> None:
    first, second = (f"{PLACE}, Zentrum für Herzerkrankungen, Raum {room}" for room in (1, 2))
    told = sms("venue_changed", place_changed(old=first, new=second))
    assert first in told
    assert second in told


# --- cancelled and booked --------------------------------------------------------------------

CANCELLED = {"en": "is cancelled", "de": "entfällt", "fr": "est annulé", "tr": "iptal edildi"}
NOT_TAKING_PLACE = {
    "en": "has been cancelled and will not take place",
    "de": "wurde abgesagt und findet nicht statt",
    "fr": "a été annulé et n’aura pas lieu",
    "tr": "iptal edildi ve yapılmayacaktır",
}
REBOOK = {"en": "To rebook: ", "de": "Neuer Termin: ", "fr": "Nouveau RDV : ", "tr": "Yeni randevu: "}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_cancellation_says_which_appointment_does_not_take_place_and_where_to_call(language: str) -> None:
    data = change(new=None)
    _, short, _, day = DAYS[language]
    told = sms("cancelled", data, language)
    assert short in told
    assert f"({PLACE}) {CANCELLED[language]}." in told
    assert REBOOK[language] + HOSPITAL.phone in told
    for body in mail_bodies("cancelled", data, language):
        assert body.index(NOT_TAKING_PLACE[language]) < body.index(day) < body.index(PLACE) < body.index(HOSPITAL.phone)
    subject = worded("cancelled", Channel.EMAIL, language, data).subject or ""
    assert short in subject


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_booking_is_confirmed_with_day_time_and_place(language: str) -> None:
    short, _, day, _ = DAYS[language]
    assert f"{short} {PLACE}." in sms("booked", change(old=None), language)
    for body in mail_bodies("booked", change(old=None), language):
        assert body.index(day) < body.index(PLACE)


# --- messages of other systems ---------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_is_sent_as_it_was_given(language: str) -> None:
    data = MessageData(subject="Your result <1>", text="First & last line:\n<b>ready</b>\r\nBye")
    mail = worded("message", Channel.EMAIL, language, data)
    assert mail.subject == "Your result <1>"
    assert mail.text == "First & last line:\n<b>ready</b>\nBye"
    assert mail.html is not None
    assert "<p>First &amp; last line:<br>&lt;b&gt;ready&lt;/b&gt;<br>Bye</p>" in mail.html
    assert "<title>Your result &lt;1&gt;</title>" in mail.html
    assert sms("message", data, language) == "Klinikum Nord: First & last line:\n<b>ready</b>\nBye"


def test_a_message_is_never_shortened() -> None:
    text = "Zentrum für Herz- und Kreislauferkrankungen, Haus 12, Ebene 3. " * 15
    assert sms("message", MessageData(subject="s", text=text)) == f"Klinikum Nord: {text.strip()}"


# --- every change ----------------------------------------------------------------------------

EXAMPLES = [
    ("rescheduled", change()),
    ("venue_changed", place_changed()),
    ("cancelled", change(new=None)),
    ("booked", change(old=None)),
]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("name", ["Anna", "Maximilian-Alexander", "Ayşe", "Владимир", None])
@pytest.mark.parametrize(("code", "data"), EXAMPLES, ids=[code for code, _ in EXAMPLES])
def test_ordinary_changes_are_one_segment_of_gsm7(
    code: str, data: ChangeData, name: str | None, month: int, language: str
) -> None:
    def in_month(line: AppointmentLine | None) -> AppointmentLine | None:
        return line and line.model_copy(update={"start": line.start.replace(month=month)})

    moved = change(old=in_month(data.old), new=in_month(data.new), given_name=name)
    size = sms_size(sms(code, moved, language))
    assert (size.alphabet, size.segments) == ("GSM-7", 1)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("code", "data"), EXAMPLES, ids=[code for code, _ in EXAMPLES])
def test_html_of_changes_is_escaped_and_loads_nothing_from_elsewhere(
    code: str, data: ChangeData, language: str
) -> None:
    def hostile(line: AppointmentLine | None) -> AppointmentLine | None:
        return line and line.model_copy(update={"venue": f"<script>{line.venue}</script>"})

    risky = change(old=hostile(data.old), new=hostile(data.new), given_name="<b>A&B</b>")
    mail = worded(code, Channel.EMAIL, language, risky)
    assert mail.html is not None
    assert "<script>" not in mail.html
    assert "&lt;script&gt;" in mail.html
    assert " &lt;b&gt;A&amp;B&lt;/b&gt;," in mail.html
    assert " <b>A&B</b>," in mail.text
    assert mail.html.startswith(f'<!DOCTYPE html>\n<html lang="{language}"')
    assert "http" not in mail.html
    assert "src=" not in mail.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("code", "data"), EXAMPLES, ids=[code for code, _ in EXAMPLES])
def test_a_change_at_a_hospital_without_a_phone_gives_none(code: str, data: ChangeData, language: str) -> None:
    silent = Hospital("Klinikum", "", HOSPITAL.timezone)
    told = worded(code, Channel.SMS, language, data, silent).text
    mail = worded(code, Channel.EMAIL, language, data, silent)
    assert "Tel" not in told
    assert "Tél" not in told
    assert REBOOK[language] not in told
    assert "tel:" not in (mail.html or "")


words = st.text(min_size=1, max_size=80)
instants = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
lines = st.builds(AppointmentLine, start=instants, venue=words)
moves = st.builds(ChangeData, given_name=st.none() | words, old=st.none() | lines, new=lines)
cancellations = st.builds(ChangeData, given_name=st.none() | words, old=lines, new=st.none())
DATA = {"rescheduled": moves, "venue_changed": moves, "booked": moves, "cancelled": cancellations}


@given(drawn=st.data(), code=st.sampled_from(sorted(DATA)), channel=st.sampled_from(Channel))
def test_every_valid_change_can_be_worded(drawn: st.DataObject, code: str, channel: Channel) -> None:
    data = drawn.draw(DATA[code])
    for language in LANGUAGES:
        wording = worded(code, channel, language, data)
        assert HOSPITAL.name in wording.text
        assert "\n" not in (wording.subject or "")
        assert not set(wording.text + (wording.html or "")) & {"\0", "\x1b", "\r", "\x7f", "\x85"}
        assert channel is not Channel.SMS or "STOP" in wording.text


@given(subject=st.text(min_size=1, max_size=120), text=st.text(min_size=1, max_size=1000))
def test_every_valid_message_can_be_worded(subject: str, text: str) -> None:
    data = MessageData(subject=subject, text=text)
    mail = worded("message", Channel.EMAIL, "en", data)
    assert "\n" not in (mail.subject or "")
    assert sms("message", data).startswith("Klinikum Nord:")


def test_every_kind_is_worded_in_all_four_languages() -> None:
    wanted = {
        (kind.template, channel, lang) for kind in KINDS.values() for channel in kind.channels for lang in LANGUAGES
    }
    assert wanted <= FILES.keys()
    assert all(file.html for (_, channel, _), file in FILES.items() if channel is Channel.EMAIL)
