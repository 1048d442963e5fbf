from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify.domain.kinds import AppointmentLine, ReminderData
from carenotify.domain.notification import Channel
from carenotify.domain.sms_size import in_gsm7, sms_size
from carenotify.domain.wording import Hospital, TemplateVersion, Wording, choose_language, render
from carenotify.errors import WordingError
from carenotify.templates import load_template_files

HOSPITAL = Hospital("Klinikum Nord", "+49 30 1234567", ZoneInfo("Europe/Berlin"))
FILES = {(file.channel, file.language): file for file in load_template_files() if file.code == "reminder"}
NINE_UTC = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
LONG_VENUE = "Zentrum für Herz- und Kreislauferkrankungen, Haus 12, Ebene 3, Wartebereich B"


def reminder(*venues: str, given_name: str | None = "Anna", start: datetime = NINE_UTC) -> ReminderData:
    lines = [AppointmentLine(start=start + timedelta(hours=hour), venue=venue) for hour, venue in enumerate(venues)]
    return ReminderData(given_name=given_name, appointments=tuple(lines))


def sms(data: ReminderData, language: str = "en", hospital: Hospital = HOSPITAL) -> str:
    return render(FILES[Channel.SMS, language], data, hospital=hospital).text


def mail(data: ReminderData, language: str = "en") -> Wording:
    return render(FILES[Channel.EMAIL, language], data, hospital=HOSPITAL)


def template(text: str, *, html: str | None = None, language: str = "en") -> TemplateVersion:
    return TemplateVersion(
        id=7, code="greeting", channel=Channel.EMAIL, language=language, version=3, subject="s", text=text, html=html
    )


# --- what a reminder says --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (
            "en",
            (
                "Klinikum Nord: Hello Anna, your appointment on Tue 24 Nov: 10:30 Cardiology, House B. "
                "Questions? +49 30 1234567. Reply STOP to stop"
            ),
        ),
        (
            "de",
            (
                "Klinikum Nord: Hallo Anna, Ihr Termin am Di., 24. Nov.: 10:30 Cardiology, House B. "
                "Fragen? +49 30 1234567. Abmelden: STOP antworten"
            ),
        ),
        (
            "fr",
            (
                "Klinikum Nord : Bonjour Anna, votre rendez-vous le mar. 24 nov. : 10:30 Cardiology, House B. "
                "Questions ? +49 30 1234567. Désabonnement : répondez STOP"
            ),
        ),
        (
            "tr",
            (
                "Klinikum Nord: Merhaba Anna, randevunuz 24 Kas Sal: 10:30 Cardiology, House B. "
                "Sorular: +49 30 1234567. Mesaj almamak icin STOP yazin"
            ),
        ),
    ],
)
def test_an_sms_says_who_when_where_and_how_to_stop(language: str, text: str) -> None:
    assert sms(reminder("Cardiology, House B"), language) == text


def test_several_appointments_of_a_day_are_one_sms() -> None:
    assert sms(reminder("Cardiology", "Radiology"), "de") == (
        "Klinikum Nord: Hallo Anna, Ihre Termine am Di., 24. Nov.: 10:30 Cardiology; 11:30 Radiology. "
        "Fragen? +49 30 1234567. Abmelden: STOP antworten"
    )


def test_a_mail_says_the_same_in_subject_text_and_html() -> None:
    wording = mail(reminder("Cardiology", "Radiology"))

    assert wording.subject == "Your appointments on Tue 24 Nov at Klinikum Nord"
    assert "on Tuesday, 24 November 2026:\n\n10:30 Cardiology\n11:30 Radiology\n" in wording.text
    assert wording.html is not None
    for part in (wording.text, wording.html):
        assert "Hello Anna," in part
        assert "+49 30 1234567" in part
    assert '<a href="tel:+49301234567">' in wording.html
    assert '<time datetime="2026-11-24T09:30:00+00:00">10:30</time>Cardiology' in wording.html


@pytest.mark.parametrize("language", ["en", "de", "fr", "tr"])
def test_mail_html_names_its_language_and_loads_nothing_from_elsewhere(language: str) -> None:
    html = mail(reminder("Cardiology"), language).html

    assert html is not None
    assert f'<html lang="{language}"' in html
    assert "http" not in html
    assert "src=" not in html
    assert 'name="color-scheme" content="light dark"' in html


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("language", ["en", "de", "fr", "tr"])
def test_a_hospital_without_a_phone_gives_none(channel: Channel, language: str) -> None:
    wording = render(
        FILES[channel, language], reminder("Cardiology"), hospital=Hospital("Klinikum", "", HOSPITAL.timezone)
    )

    assert "+49" not in wording.text
    assert "tel:" not in (wording.html or "")


def test_an_appointment_is_told_in_the_hospitals_zone_and_on_its_local_day() -> None:
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)

    assert "on Wed 25 Nov: 00:30 Clinic" in sms(reminder("Clinic", start=late))
    in_new_york = Hospital("General", "", ZoneInfo("America/New_York"))
    assert "on Tue 24 Nov: 18:30 Clinic" in sms(reminder("Clinic", start=late), hospital=in_new_york)


def test_an_appointment_of_another_day_says_its_day() -> None:
    line = AppointmentLine(start=NINE_UTC + timedelta(days=1), venue="Radiology")
    data = ReminderData(given_name=None, appointments=(*reminder("Cardiology").appointments, line))

    assert "on Tue 24 Nov: 10:30 Cardiology; Wed 25 Nov 10:30 Radiology." in sms(data)


# --- one segment where possible --------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "de", "fr", "tr"])
@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("name", ["Anna", "José", "Maximilian-Alexander", "Ayşe", "Владимир", "王", None])
def test_ordinary_data_is_one_segment_of_gsm7(language: str, month: int, name: str | None) -> None:
    start = datetime(2026, month, 23, 9, 30, tzinfo=UTC)

    size = sms_size(sms(reminder("Kardiologie, Haus B, Ebene 2", given_name=name, start=start), language))

    assert (size.alphabet, size.segments) == ("GSM-7", 1)


@pytest.mark.parametrize("name", ["Ayşe", "Zoë", "Владимир", "محمد", "王小明"])
def test_a_name_that_gsm7_cannot_write_is_left_out(name: str) -> None:
    assert name not in sms(reminder("Cardiology", given_name=name))
    assert f"Hello {name}," in mail(reminder("Cardiology", given_name=name)).text


def test_a_name_that_would_make_a_second_segment_is_left_out() -> None:
    name = "Wolfeschlegelsteinhausenbergerdorff"
    told = sms(reminder("Cardiology and internal medicine, House B", given_name=name))

    assert name not in told
    assert sms_size(told).segments == 1


def test_a_name_stays_when_leaving_it_out_saves_nothing() -> None:
    assert "Hello Anna" in sms(reminder(*(f"Clinic number {number} of the old house" for number in range(6))))


def test_a_long_venue_is_cut_at_a_word_when_that_saves_a_segment() -> None:
    told = sms(reminder(LONG_VENUE))

    assert sms_size(told).segments == 1
    assert "10:30 Zentrum für Herz- und Kreislauferkrankungen... Questions?" in told


def test_a_long_venue_stays_whole_when_cutting_saves_nothing() -> None:
    assert sms(reminder(LONG_VENUE, LONG_VENUE + "b", LONG_VENUE + "c")).count(LONG_VENUE) == 3


def test_two_long_venues_never_become_one_by_cutting() -> None:
    first, second = LONG_VENUE + ", Raum 1", LONG_VENUE + ", Raum 2"
    told = sms(reminder(first, second))

    assert first in told
    assert second in told


def test_a_greek_venue_is_told_in_greek() -> None:
    told = sms(reminder("Καρδιολογική κλινική"))

    assert "Καρδιολογική κλινική" in told
    assert sms_size(told).alphabet == "UCS-2"


# --- whatever the data -----------------------------------------------------------------------

words = st.text(min_size=1, max_size=80)
instants = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
lines = st.builds(AppointmentLine, start=instants, venue=words)
reminders = st.builds(
    ReminderData, given_name=st.none() | words, appointments=st.lists(lines, min_size=1, max_size=4).map(tuple)
)


@given(data=reminders, template=st.sampled_from(list(FILES.values())))
def test_every_valid_reminder_can_be_worded(data: ReminderData, template: TemplateVersion) -> None:
    wording = render(template, data, hospital=HOSPITAL)

    assert HOSPITAL.name in wording.text
    assert "\n" not in (wording.subject or "")
    assert not set(wording.text + (wording.html or "")) & {"\0", "\x1b", "\r", "\x7f", "\x85"}
    if template.channel is Channel.SMS:
        assert "STOP" in wording.text


@given(data=reminders)
def test_an_sms_never_costs_more_segments_than_with_everything_in_it(data: ReminderData) -> None:
    everything = TemplateVersion(None, "r", Channel.EMAIL, "en", 0, "s", FILES[Channel.SMS, "en"].text, None)

    assert sms_size(sms(data)).segments <= sms_size(render(everything, data, hospital=HOSPITAL).text).segments


def test_html_is_escaped_and_text_is_not() -> None:
    wording = mail(reminder('<script>alert("1")</script>', given_name="<b>A&B</b>"))

    assert wording.html is not None
    assert "<script>" not in wording.html
    assert "&lt;script&gt;" in wording.html
    assert "Hello &lt;b&gt;A&amp;B&lt;/b&gt;," in wording.html
    assert "Hello <b>A&B</b>," in wording.text


def test_a_line_break_in_the_data_never_breaks_the_subject() -> None:
    hostile = Hospital("Klinikum\r\nBcc: everybody@example.org", "", HOSPITAL.timezone)

    subject = render(FILES[Channel.EMAIL, "en"], reminder("Clinic"), hospital=hostile).subject

    assert subject == "Your appointment on Tue 24 Nov at Klinikum Bcc: everybody@example.org"


def test_typographic_quotes_do_not_cost_a_segment() -> None:
    venue = "House \N{LEFT DOUBLE QUOTATION MARK}B\N{RIGHT DOUBLE QUOTATION MARK} \N{EN DASH} 2nd floor"

    told = sms(reminder(venue))

    assert in_gsm7(told)
    assert 'House "B" - 2nd floor' in told


def test_a_mapping_serves_as_data_too() -> None:
    data = {"name": "Anna"}

    assert render(template("Hello {{ name }}"), data, hospital=HOSPITAL).text == "Hello Anna"


def test_repr_of_a_wording_shows_nothing_of_it() -> None:
    assert "Anna" not in repr(mail(reminder("Clinic")))


# --- templates that are wrong ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{{ nobody }}", "'nobody'"),
        ("{{ name.nothing }}", "'nothing'"),
        ("{{ lookup[name] }}", "a computed name"),
        ("{{ name / 2 }}", "TypeError"),
        ("{{ name.__class__.__mro__ }}", "'__class__'|SecurityError"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
    ],
)
def test_a_template_that_fails_is_named_and_the_data_is_not(text: str, named: str) -> None:
    with pytest.raises(WordingError, match=rf"^template greeting, email in en: .*({named})") as caught:
        render(template(text), {"name": "Annabella", "lookup": {}}, hospital=HOSPITAL)

    assert "Annabella" not in str(caught.value)


def test_broken_syntax_names_part_and_line() -> None:
    with pytest.raises(WordingError, match=r"template greeting, email in en: html, line 2: "):
        render(template("fine", html="fine\n{% if %}"), {}, hospital=HOSPITAL)


def test_a_template_in_an_unknown_language_is_refused() -> None:
    with pytest.raises(WordingError, match="'xx'"):
        render(template("fine", language="xx"), {}, hospital=HOSPITAL)


# --- languages -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (["de"], "de"),
        (["de-AT"], "de"),
        (["de_AT"], "de"),
        (["DE-at-1996"], "de"),
        (["en-US"], "en-US"),
        (["EN-us-x-private"], "en-US"),
        (["en-GB"], "en"),
        ([None, "tr", "de"], "de"),
        (["tr"], "en"),
        (["deu"], "en"),
        ([], "en"),
        ([None, "", "  "], "en"),
    ],
)
def test_the_first_language_that_is_available_is_chosen(wanted: list[str | None], chosen: str) -> None:
    assert choose_language(wanted, ["en", "en-US", "de"], "en") == chosen


def test_no_wording_in_the_default_language_is_an_error() -> None:
    with pytest.raises(WordingError, match="'fr'"):
        choose_language(["tr"], ["en"], "fr")
