"""The mails of Airflow and of watch_delivery when SES is the first e-mail provider, against moto's SES."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_string
from email.message import EmailMessage
from email.policy import default

import boto3
import pytest

from stack import airflow
from tests.integration.amazon import Moto, running_moto
from tests.integration.dags.conftest import PlayDag, query
from tests.integration.ward import process_settings

RUN = {"run_id": "scheduled__2026-11-24T08:00:00+00:00"}


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    with running_moto() as moto:
        place = {"endpoint_url": moto.url, "region_name": "eu-central-1"}
        secrets = {"aws_access_key_id": "an-id", "aws_secret_access_key": "a-secret"}
        boto3.client("sesv2", **place, **secrets).create_email_identity(EmailIdentity="hospital.example")
        yield moto


@pytest.fixture
def settings(database_url: str, moto: Moto) -> dict[str, str]:
    return (
        moto.environment
        | process_settings(database_url)
        | {
            "CARENOTIFY_ALERT_TO": "operations@hospital.example, nights@hospital.example",
            "CARENOTIFY_EMAIL_PROVIDERS": "ses,smtp",
            "CARENOTIFY_EMAIL_FROM": "Klinikum Süd <info@hospital.example>",
            "AIRFLOW_CONN_AWS_DEFAULT": airflow.connection("aws", extra={"region_name": "eu-central-1"}),
        }
    )


def mails(moto: Moto) -> list[EmailMessage]:
    return [
        message_from_string(taken["raw_data"], EmailMessage, policy=default)
        for taken in moto.taken("ses", "RawMessage")
    ]


def test_ses_mails_failed_runs_at_once_and_what_was_held_up_with_the_rest(
    dag_process: PlayDag, settings: dict[str, str], moto: Moto
) -> None:
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    dag_process("fail", "ingest_appointments", RUN, settings | nowhere)
    assert mails(moto) == []

    dag_process("fail", "replay_dead_letters", RUN, settings)
    (at_once,) = mails(moto)
    assert at_once["Subject"] == "carenotify: replay_dead_letters failed"
    assert at_once["From"] == "Klinikum Süd <info@hospital.example>"

    assert dag_process("play", "watch_delivery", {}, settings)["state"] == "success"
    _, later = mails(moto)
    assert later["To"] == "operations@hospital.example, nights@hospital.example"
    told = later.get_body(("html",))
    assert told is not None
    assert "ingest_appointments" in told.get_content()
    assert "replay_dead_letters" not in told.get_content()
    ids = query(
        settings["CARENOTIFY_DATABASE_URL"], "SELECT mail_id FROM alerts WHERE mailed_at IS NOT NULL ORDER BY 1"
    )
    assert {at_once["Message-ID"], later["Message-ID"]} == {f"<carenotify-{one}@hospital.example>" for (one,) in ids}
    for mail in (at_once, later):  # SES puts a Message-ID of its own in the place of ours
        assert mail["X-Carenotify-Alert-Id"].strip() == mail["Message-ID"].strip("<>")
