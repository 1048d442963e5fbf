"""SES and SNS against moto's server, which checks what it is sent as AWS does and shows what it has taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import message_from_string
from email.policy import default
from uuid import uuid4

import boto3
import pytest

from carenotify.app import App, build_app
from carenotify.channels.base import OutgoingMessage, Provider
from carenotify.domain.notification import Channel
from carenotify.errors import AddressRejectedError, MessageRejectedError, OptedOutError
from tests.integration.amazon import Moto, running_moto
from tests.integration.ward import NOON, Hospital, SetClock, make_settings

MOBILE, STOPPED = "+4915112345678", "+4915112345699"  # moto takes numbers that end in 99 for opted out


@pytest.fixture(scope="module")
def running() -> Iterator[Moto]:
    with running_moto() as moto:
        yield moto


@pytest.fixture
def moto(running: Moto, monkeypatch: pytest.MonkeyPatch) -> Moto:
    """An empty AWS, and the environment that leads there."""
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running.forget()
    boto3.client("sesv2").create_email_identity(EmailIdentity="klinikum.example")
    return running


@pytest.fixture
def app(moto: Moto) -> Iterator[App]:
    settings = make_settings(
        "postgresql://127.0.0.1:1/none",
        CARENOTIFY_EMAIL_PROVIDERS="ses,smtp",
        CARENOTIFY_SMS_PROVIDERS="sns",
        CARENOTIFY_EMAIL_FROM="Klinikum Süd <info@klinikum.example>",
        CARENOTIFY_SMTP_URL="smtp://127.0.0.1:1",
    )
    app = build_app(settings)
    yield app
    app.close()


@pytest.fixture
def ses(app: App) -> Provider:
    return app.providers[Channel.EMAIL][0]


@pytest.fixture
def sns(app: App) -> Provider:
    return app.providers[Channel.SMS][0]


def mail(to: str = "anna@example.org") -> OutgoingMessage:
    return OutgoingMessage(uuid4(), 1, to, "Ihr Termin, Änne", "Hällo €", "<p>Hällo €</p>", "de")


def sms(to: str = MOBILE, text: str = "Hällo & welcome €") -> OutgoingMessage:
    return OutgoingMessage(uuid4(), 1, to, None, text, None, "de")


def test_the_settings_name_the_providers_in_order(app: App) -> None:
    named = {channel: [provider.name for provider in app.providers[channel]] for channel in Channel}

    assert named == {Channel.EMAIL: ["ses", "smtp"], Channel.SMS: ["sns"]}


def test_a_mail_arrives_as_it_was_worded(moto: Moto, ses: Provider) -> None:
    message = mail()

    given = ses.send(message)

    (arrived,) = moto.taken("ses", "RawMessage")
    assert arrived["id"] == given
    assert set(arrived["destinations"]) == {"anna@example.org"}
    raw = message_from_string(arrived["raw_data"], policy=default)
    assert (raw["From"], raw["To"], raw["Subject"]) == (
        "Klinikum Süd <info@klinikum.example>",
        "anna@example.org",
        message.subject,
    )
    assert raw["X-Carenotify-Notification-Id"] == str(message.notification_id)
    assert raw.get_body(("plain",)).get_content().strip() == message.text
    assert raw.get_body(("html",)).get_content().strip() == message.html


def test_a_text_arrives_as_it_was_worded(moto: Moto, sns: Provider) -> None:
    message = sms()

    given = sns.send(message)

    (arrived,) = moto.taken("sns", "SMS")
    assert (arrived["message_id"], arrived["phone_number"], arrived["message"]) == (given, MOBILE, message.text)


def test_who_has_said_stop_to_aws_gets_no_text(moto: Moto, sns: Provider) -> None:
    with pytest.raises(OptedOutError):
        sns.send(sms(STOPPED))

    assert moto.taken("sns", "SMS") == []


def test_a_refusal_by_ses_is_ours_by_kind_and_tells_its_code_alone(moto: Moto, ses: Provider) -> None:
    boto3.client("sesv2").delete_email_identity(EmailIdentity="klinikum.example")

    with pytest.raises(MessageRejectedError, match=r"^MessageRejected$"):
        ses.send(mail())

    assert moto.taken("ses", "RawMessage") == []


def test_an_address_that_is_none_is_refused_before_aws_hears_of_it(moto: Moto, ses: Provider, sns: Provider) -> None:
    for provider, message in ((ses, mail("nobody")), (sns, sms("015112345678"))):
        with pytest.raises(AddressRejectedError):
            provider.send(message)

    assert moto.taken("ses", "RawMessage") + moto.taken("sns", "SMS") == []


def test_sixteen_threads_lose_and_double_nothing(moto: Moto, ses: Provider, sns: Provider) -> None:
    mails = [mail(f"patient-{number}@example.org") for number in range(60)]
    texts = [sms(text=f"text {number}") for number in range(60)]

    with ThreadPoolExecutor(16) as threads:
        given = [*threads.map(ses.send, mails), *threads.map(sns.send, texts)]

    assert len(set(given)) == 120
    raw = [json.dumps(each) for each in moto.taken("ses", "RawMessage")]
    assert len(raw) == 60
    assert all(sum(str(message.notification_id) in each for each in raw) == 1 for message in mails)
    assert sorted(each["message"] for each in moto.taken("sns", "SMS")) == sorted(each.text for each in texts)


def test_a_stop_that_aws_was_told_ends_texts_for_good(moto: Moto, database_url: str) -> None:
    clock = SetClock()
    settings = make_settings(database_url, CARENOTIFY_SMS_PROVIDERS="sns", CARENOTIFY_DEFAULT_CHANNELS="sms")
    app = build_app(settings, clock=clock)
    hospital = Hospital(app.database)
    hospital.add_patient(phone=STOPPED, mail=None)
    for day in (3, 4):
        hospital.add_appointment(f"a{day}", start=NOON + timedelta(days=day))

    for today in (NOON.date(), NOON.date() + timedelta(days=1)):
        app.reminder_planner.plan(today)
        claims, _ = app.deliverer.claim([row[0] for row in hospital.query("SELECT id FROM notifications")])
        app.deliverer.record([app.deliverer.send(claim) for claim in claims])
        clock.advance(days=1)

    assert hospital.query("SELECT provider, status FROM notifications WHERE provider IS NOT NULL") == [
        ("sns", "unsubscribed")
    ]
    assert hospital.query("SELECT reason FROM suppressions") == [("opted_out",)]
    assert moto.taken("sns", "SMS") == []
    app.close()
