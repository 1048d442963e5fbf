from __future__ import annotations

import base64
import re
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from carenotify.app import build_app
from carenotify.config import PREFIX, PROVIDERS_NEED, Settings, load_settings
from carenotify.domain.notification import Channel
from carenotify.domain.window import SendWindow
from carenotify.errors import SettingsError

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
# The same in every process that collects these tests.
FERNET_KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()

NEEDED = {
    "CARENOTIFY_DATABASE_URL": "postgresql://someone:hush-hush@127.0.0.1/carenotify",
    "CARENOTIFY_BROKER_URL": "amqp://someone:hush-hush@127.0.0.1/",
    "CARENOTIFY_TIMEZONE": "Europe/Berlin",
    "CARENOTIFY_ENCRYPTION_KEYS": FERNET_KEY,
    "CARENOTIFY_INDEX_KEY": "an index key of hush-hush",
}


@pytest.mark.parametrize(
    ("given", "served"),
    [
        ({}, {Channel.SMS}),
        ({"SMTP_URL": "smtp://mail.example.org"}, {Channel.SMS}),
        ({"SMTP_URL": "smtp://mail.example.org", "EMAIL_FROM": "ward@example.org"}, set(Channel)),
        ({"EMAIL_PROVIDERS": "ses", "EMAIL_FROM": "ward@example.org"}, set(Channel)),
        ({"EMAIL_PROVIDERS": "ses,smtp", "EMAIL_FROM": "ward@example.org"}, {Channel.SMS}),
        ({"DEFAULT_CHANNELS": "email"}, {Channel.EMAIL}),
        ({"DEFAULT_CHANNELS": "email", "SMS_PROVIDERS": "sns"}, set(Channel)),
    ],
)
def test_a_channel_is_served_by_default_or_when_its_providers_are_set_up(
    given: dict[str, str], served: set[Channel]
) -> None:
    environment = {PREFIX + name: value for name, value in ({"DEFAULT_CHANNELS": "sms"} | given).items()}
    settings = load_settings(NEEDED | environment)
    assert {channel for channel in Channel if settings.serves(channel)} == served


@pytest.mark.parametrize(("provider", "needed"), [(name, one) for name, all_ in PROVIDERS_NEED.items() for one in all_])
def test_a_provider_cannot_be_made_without_what_it_needs(provider: str, needed: str) -> None:
    channel = Channel.EMAIL if provider in {"smtp", "ses"} else Channel.SMS
    others = {name.upper(): "smtp://mail.example.org" for name in PROVIDERS_NEED[provider] if name != needed}
    given = others | {f"{channel}_PROVIDERS".upper(): provider}
    app = build_app(load_settings(NEEDED | {PREFIX + name: value for name, value in given.items()}))
    with pytest.raises(SettingsError, match=f"{PREFIX}{needed.upper()}: is not set"):
        app.providers[channel]


def refusal(**changes: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(NEEDED | {PREFIX + name: value for name, value in changes.items()})
    return str(caught.value)


def test_five_settings_are_enough() -> None:
    settings = load_settings(NEEDED)
    assert settings.timezone == ZoneInfo("Europe/Berlin")
    assert settings.send_window == SendWindow.parse("09:00-12:00")
    assert settings.reminder_days_before == 3
    assert settings.default_channels == (Channel.SMS, Channel.EMAIL)


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("left", ["absent", "empty", "blank"])
def test_each_of_the_five_is_named_when_it_is_missing(name: str, left: str) -> None:
    given = {key: value for key, value in NEEDED.items() if key != name}
    if left != "absent":
        given[name] = {"empty": "", "blank": "  "}[left]
    with pytest.raises(SettingsError) as caught:
        load_settings(given)
    assert str(caught.value) == f"{name}: is not set"


def test_everything_that_is_wrong_is_told_at_once_a_line_each() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"CARENOTIFY_TIMEZONE": "Mars/Olympus", "CARENOTIFY_SEND_WINDOW": "never"})
    lines = str(caught.value).splitlines()
    assert {line.partition(":")[0] for line in lines} == set(NEEDED) | {"CARENOTIFY_SEND_WINDOW"}
    assert len(lines) == len(NEEDED) + 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TIMEZONE", "Europe/Atlantis", "'Europe/Atlantis' is not a time zone; use a name of the IANA database"),
        ("TIMEZONE", "../../etc/passwd", "is not a time zone"),
        ("TIMEZONE", "Europe", "is not a time zone"),
        ("SEND_WINDOW", "nine to five", "is not of the form HH:MM-HH:MM"),
        ("SEND_WINDOW", "12:00-09:00", "closes before it opens"),
        ("SEND_WINDOW", "09:00-24:30", "a time that no clock shows"),
        ("DEFAULT_REGION", "de", "'de' is not a region; use an ISO 3166 code in capitals"),
        ("DEFAULT_REGION", "Germany", "is not a region"),
        ("DEFAULT_CHANNELS", "sms,fax", "should be 'email' or 'sms'"),
        ("DEFAULT_CHANNELS", ",", "needs at least one value"),
        ("EMAIL_PROVIDERS", " , ", "needs at least one value"),
        ("SMS_PROVIDERS", ",", "needs at least one value"),
        ("ENCRYPTION_KEYS", "hush-hush", "key 1 is not a Fernet key; make one with: python -m carenotify keys"),
        ("ENCRYPTION_KEYS", f"{NEEDED['CARENOTIFY_ENCRYPTION_KEYS']},hush-hush", "key 2 is not a Fernet key"),
        ("ENCRYPTION_KEYS", ",", "needs at least one value"),
        ("INDEX_KEY", "hush-hush", "at least 16"),
        ("DATABASE_URL", "hush-hush", "is not a PostgreSQL URL (postgresql://user:password@host:5432/name)"),
        ("DATABASE_URL", "mysql://me:hush-hush@h/x", "is not a PostgreSQL URL"),
        ("DATABASE_URL", "postgresql://me:hush-hush@h:port/x", "is not a PostgreSQL URL"),
        ("BROKER_URL", "hush-hush", "is not an AMQP URL (amqp://user:password@host:5672/vhost), or several"),
        ("BROKER_URL", "amqp://h/,http://me:hush-hush@h/", "is not an AMQP URL"),
        ("BROKER_URL", "amqp://me:hush-hush@h:port/", "is not an AMQP URL"),
        ("PUBLIC_URL", "hospital.example", "is not a URL of ours (https://reminders.hospital.example)"),
        ("PUBLIC_URL", "ftp://hospital.example", "is not a URL of ours"),
        ("PUBLIC_URL", "https://", "is not a URL of ours"),
        ("PUBLIC_URL", "https://:8080", "is not a URL of ours"),
        ("PUBLIC_URL", "http://h:99999999", "is not a URL of ours"),
        ("PUBLIC_URL", "http://h:port", "is not a URL of ours"),
        ("PUBLIC_URL", "https://h/?a=b", "is not a URL of ours"),
        ("PUBLIC_URL", "https://h/#top", "is not a URL of ours"),
        ("PUBLIC_URL", "https://h /", "is not a URL of ours"),
        ("PUBLIC_URL", "https://[h", "is not a URL of ours"),
        ("PUBLIC_URL", "https://me:hush-hush@h", "is not a URL of ours"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(name: str, value: str, said: str) -> None:
    told = refusal(**{name: value})
    assert told.startswith(f"CARENOTIFY_{name}: ")
    assert said in told
    assert len(told.splitlines()) == 1
    assert "hush-hush" not in told


@pytest.mark.parametrize(
    "url", ["https://hospital.example", "https://h.example:8443/reminders/", "http://127.0.0.1:8080", "http://[::1]:80"]
)
def test_our_own_url_may_have_a_port_and_a_path(url: str) -> None:
    assert load_settings(NEEDED | {"CARENOTIFY_PUBLIC_URL": url}).public_url == url


@pytest.mark.parametrize(
    ("twilio", "ours", "is_told"),
    [
        ("https://api.twilio.com", "http://127.0.0.1:8080", False),
        ("https://api.twilio.com", "http://localhost", False),
        ("https://api.twilio.com", "http://[::1]:8080", False),
        ("https://api.twilio.com", "http://0.0.0.0:8080", False),
        ("https://api.twilio.com", "https://hospital.example", True),
        ("https://api.twilio.com", "https://10.0.0.8", True),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8080", True),
        ("http://sandbox:8090", "http://api-server:8080", True),
    ],
)
def test_twilio_is_told_no_address_of_ours_where_it_would_only_find_itself(
    twilio: str, ours: str, is_told: bool
) -> None:
    given = {"CARENOTIFY_TWILIO_BASE_URL": twilio, "CARENOTIFY_PUBLIC_URL": ours}
    assert load_settings(NEEDED | given).twilio_callback_url == (ours if is_told else None)


BOUNDS = {
    "INGEST_DAYS_AHEAD": ("0", "367"),
    "MAX_BAD_SHARE": ("-0.1", "1.1"),
    "MAX_BAD_ADDRESS_SHARE": ("-0.1", "1.1"),
    "MAX_CHANGES_PER_LOAD": ("-1",),
    "SOURCE_TIMEOUT_SECONDS": ("0", "inf"),
    "SOURCE_ATTEMPTS": ("0", "51"),
    "REMINDER_DAYS_BEFORE": ("-1", "61", "2.5"),
    "PUBLISH_BATCH": ("0", "10001"),
    "SEND_THREADS": ("0", "257"),
    "CLAIM_SECONDS": ("0", "inf", "nan"),
    "PUBLISH_LEASE_SECONDS": ("0", "inf"),
    "RELAY_INTERVAL_SECONDS": ("0", "inf"),
    "REQUEUE_AFTER_SECONDS": ("0", "inf"),
    "RECEIPT_KEEP_DAYS": ("0", "3651", "nan"),
    "ALERT_PLAN_GRACE_MINUTES": ("-1", "721", "nan"),
    "ALERT_WATCH_SILENCE_MINUTES": ("0", "1441", "nan"),
    "ALERT_INGEST_SILENCE_HOURS": ("0", "169", "nan"),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BOUNDS.items() for value in values])
def test_a_number_out_of_its_bounds_is_named(name: str, value: str) -> None:
    assert refusal(**{name: value}).startswith(f"CARENOTIFY_{name}: ")


@pytest.mark.parametrize("name", BOUNDS)
def test_a_number_that_is_none_is_named(name: str) -> None:
    assert refusal(**{name: "soon"}).startswith(f"CARENOTIFY_{name}: ")


def test_a_hospital_that_sends_no_reminders_can_have_a_missing_plan_left_untold() -> None:
    assert load_settings(NEEDED | {"CARENOTIFY_ALERT_PLAN_GRACE_MINUTES": "0"}).alert_plan_grace_minutes == 0


def test_a_variable_that_is_no_setting_is_refused_so_that_a_slip_of_the_pen_is_noticed() -> None:
    assert refusal(SEND_WINDOWS="09:00-12:00") == (
        "CARENOTIFY_SEND_WINDOWS: is not a setting (docs/settings.md lists them)"
    )


def test_variables_of_others_are_left_alone() -> None:
    load_settings(NEEDED | {"HOME": "/root", "NOTCARENOTIFY_X": "1"})


def secret_settings() -> list[str]:
    return [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]


def test_what_holds_a_password_or_a_key_is_kept_as_a_secret() -> None:
    assert set(secret_settings()) >= {
        "database_url",
        "broker_url",
        "api_key",
        "encryption_keys",
        "index_key",
        "smtp_url",
        "twilio_auth_token",
    }


@pytest.mark.parametrize("name", secret_settings())
def test_a_secret_is_never_shown(name: str) -> None:
    fitting = {
        "encryption_keys": Fernet.generate_key().decode(),
        "database_url": "postgresql://me:hush@h/x",
        "broker_url": "amqp://me:hush@h/x",
    }
    hush = fitting.get(name, "hush-hush-hush-hush")
    settings = load_settings(NEEDED | {PREFIX + name.upper(): hush})
    held = getattr(settings, name)
    shown = held[0] if isinstance(held, tuple) else held
    assert isinstance(shown, SecretStr)
    assert shown.get_secret_value() == hush
    assert hush not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_no_secret_is_in_the_complaint_about_another_setting() -> None:
    told = refusal(TIMEZONE="Mars", SMTP_URL="smtp://someone:hush-hush@mail", INDEX_KEY="hush-hush")
    assert "hush-hush" not in told


def test_a_cause_holds_no_secret_either() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(NEEDED | {"CARENOTIFY_ENCRYPTION_KEYS": "hush-hush"})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(NEEDED).hospital_name = "Elsewhere"  # type: ignore[misc]


def test_a_setting_that_one_process_needs_is_named_when_it_is_asked_for() -> None:
    with pytest.raises(SettingsError, match="CARENOTIFY_SMTP_URL: is not set"):
        load_settings(NEEDED).required("smtp_url")


def test_the_document_lists_exactly_the_settings_that_there_are() -> None:
    ours = DOCUMENT.read_text().partition("\n## carenotify\n")[2].partition("\n## ")[0]
    told = re.findall(r"^\|\s*`(CARENOTIFY_[A-Z0-9_]+)`", ours, re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == {PREFIX + name.upper() for name in Settings.model_fields}


def test_several_brokers_are_one_setting() -> None:
    url = "amqp://me@one:5672/v, amqps://me@two/v"
    assert load_settings(NEEDED | {"CARENOTIFY_BROKER_URL": url}).broker_url.get_secret_value() == url


def test_a_provider_has_no_limit_until_one_is_set() -> None:
    limited = load_settings(NEEDED | {"CARENOTIFY_SES_MESSAGES_PER_SECOND": "0.5"})
    assert limited.messages_per_second("ses") == 0.5
    assert limited.messages_per_second("twilio") is None
    assert limited.messages_per_second("carrier-pigeon") is None
    assert refusal(SES_MESSAGES_PER_SECOND="-1").startswith("CARENOTIFY_SES_MESSAGES_PER_SECOND: ")


def test_the_report_goes_to_those_who_are_alerted_until_somebody_else_is_named() -> None:
    alerted = NEEDED | {"CARENOTIFY_ALERT_TO": "it@example.org, night@example.org"}
    assert load_settings(NEEDED).report_receivers == ("alert_to", ())
    assert load_settings(alerted).report_receivers == ("alert_to", ("it@example.org", "night@example.org"))
    both = alerted | {"CARENOTIFY_REPORT_TO": "head@example.org"}
    assert load_settings(both).report_receivers == ("report_to", ("head@example.org",))


def test_the_time_of_the_report_is_one_that_a_clock_shows() -> None:
    assert load_settings(NEEDED).report_time == time(18)
    assert load_settings(NEEDED | {"CARENOTIFY_REPORT_TIME": " 06:45 "}).report_time == time(6, 45)
    for wrong in ("24:00", "18", "18:00:30", "6 pm"):
        assert (
            refusal(REPORT_TIME=wrong) == f"CARENOTIFY_REPORT_TIME: {wrong!r} is not a time of day; write it as 18:00"
        )
