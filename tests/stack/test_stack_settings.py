"""The environment of the running system: what the user has set wins, and a shell can read it back."""

from __future__ import annotations

import json
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from carenotify.app import build_app
from carenotify.config import load_settings
from carenotify.domain.notification import Channel
from carenotify.errors import SettingsError
from stack import credentials, settings
from stack.checkout import Checkout
from stack.status import read_environment

SANDBOX = {"sandbox_port": 21003, "sandbox_smtp_port": 21004}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout in a path with a space and a quote."""
    root = tmp_path / "it's a clone"
    (root / ".run").mkdir(parents=True)
    return Checkout(root)


def built(checkout: Checkout, wished: dict[str, str] | None = None, **sandbox: int) -> dict[str, str]:
    places = settings.Places(
        database_url="postgresql://carenotify:secret@127.0.0.1:21000/carenotify",
        airflow_database_url="postgresql://carenotify:secret@127.0.0.1:21000/airflow",
        broker_url="amqp://carenotify:secret@127.0.0.1:21001/%2F",
        ui_port=21002,
        **sandbox,
    )
    known = credentials.load_or_make(checkout.run / "secrets.json")
    return settings.build(checkout, places, credentials=known, wished=wished or {})


def own(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("CARENOTIFY_")}


@pytest.mark.parametrize("sandbox", [{}, SANDBOX], ids=["up", "demo"])
def test_carenotify_accepts_every_setting_that_is_made_for_it(checkout: Checkout, sandbox: dict[str, int]) -> None:
    load_settings(own(built(checkout, **sandbox)))


def test_the_stacks_own_variables_do_not_reach_carenotify(checkout: Checkout) -> None:
    wished = {settings.UI_PORT: "8080", settings.AIRFLOW_DATABASE: "postgresql://x/y", settings.NO_APT: "1"}
    environment = settings.child_environment(wished, built(checkout, wished))
    assert not wished.keys() & environment.keys()
    load_settings(own(environment))


def test_what_the_user_has_set_wins_over_the_defaults_and_the_sandbox(checkout: Checkout) -> None:
    wished = {"CARENOTIFY_PATIENT_API_URL": "https://fhir.example/r4", "CARENOTIFY_TIMEZONE": "Europe/Paris"}
    found = built(checkout, wished, **SANDBOX)
    assert wished.items() <= found.items()
    assert found["AIRFLOW__CORE__DEFAULT_TIMEZONE"] == "Europe/Paris"
    assert json.loads(found["AIRFLOW_CONN_PATIENT_API"])["host"] == "https://fhir.example/r4"


def test_a_shell_reads_every_value_back_as_it_was(checkout: Checkout) -> None:
    found = {**built(checkout, **SANDBOX), "CARENOTIFY_HOSPITAL_NAME": 'St. John\'s "$HOME" `id` \\ ünï'}
    file = checkout.run / "env"
    credentials.write_privately(file, settings.shell_lines(found, wished={}))
    script = f". {shlex.quote(str(file))} && env -0"
    answer = subprocess.run(["sh", "-c", script], capture_output=True, check=True, env={}).stdout.decode()
    read = dict(line.split("=", 1) for line in answer.split("\0") if line)
    assert found.items() <= read.items()
    assert found.items() <= read_environment(checkout).items()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_shell_that_has_read_the_env_file_makes_no_wishes_by_that(checkout: Checkout) -> None:
    wished = {"CARENOTIFY_TIMEZONE": "Europe/Paris"}
    found = built(checkout, wished)
    lines = settings.shell_lines(found, wished=wished).splitlines()
    shell = dict(shlex.split(line)[1].split("=", 1) for line in lines)
    assert settings.wishes(shell) == wished
    shell["CARENOTIFY_BROKER_URL"] = "amqp://elsewhere"
    assert settings.wishes(shell) == wished | {"CARENOTIFY_BROKER_URL": "amqp://elsewhere"}


def test_secrets_are_made_once_and_readable_by_their_owner_only(checkout: Checkout) -> None:
    file = checkout.run / "secrets.json"
    assert credentials.load_or_make(file) == credentials.load_or_make(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_workers_needs_are_those_that_the_wiring_asks_for(checkout: Checkout) -> None:
    bare = built(checkout)
    missing = settings.missing_for_workers(bare)
    assert missing
    complete = built(checkout, **SANDBOX)
    assert settings.missing_for_workers(complete) == []
    app = build_app(load_settings(own(complete)))
    assert all(app.providers[channel] for channel in (Channel.EMAIL, Channel.SMS))
    app.close()
    for name in missing:
        without = {key: value for key, value in own(complete).items() if key != name}
        with pytest.raises(SettingsError, match=name):
            _ = [build_app(load_settings(without)).providers[channel] for channel in (Channel.EMAIL, Channel.SMS)]


AWS = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "an-id",
    "AWS_SECRET_ACCESS_KEY": "a-secret",
    "AWS_CONFIG_FILE": "/nowhere/config",
}


def test_the_workers_needs_of_aws_are_those_that_the_wiring_asks_for(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {"CARENOTIFY_EMAIL_PROVIDERS": "ses, smtp", "CARENOTIFY_SMS_PROVIDERS": "twilio,sns"}
    complete = built(checkout, named | AWS, **SANDBOX)
    assert settings.missing_for_workers(complete) == []
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    app = build_app(load_settings(own(complete)))
    assert [[provider.name for provider in app.providers[channel]] for channel in (Channel.EMAIL, Channel.SMS)] == [
        ["ses", "smtp"],
        ["twilio", "sns"],
    ]
    app.close()
    without = {name: value for name, value in complete.items() if name != "AWS_DEFAULT_REGION"}
    assert settings.missing_for_workers(without) == ["AWS_DEFAULT_REGION"]
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(SettingsError, match="AWS_DEFAULT_REGION"):
        _ = build_app(load_settings(own(without))).providers[Channel.SMS]


def test_every_provider_that_is_named_has_its_needs(checkout: Checkout) -> None:
    wished = {
        "CARENOTIFY_EMAIL_PROVIDERS": "ses,smtp",
        "CARENOTIFY_SMS_PROVIDERS": "sns",
        "AWS_CONFIG_FILE": "/nowhere",
    }
    missing = settings.missing_for_workers(built(checkout, wished))
    assert missing == ["CARENOTIFY_EMAIL_FROM", "AWS_DEFAULT_REGION", "CARENOTIFY_SMTP_URL"]


def test_a_region_in_awss_own_files_will_do(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nregion = eu-central-1\n")
    wished = {"CARENOTIFY_SMS_PROVIDERS": "sns", "AWS_CONFIG_FILE": str(tmp_path / "config")}
    assert "AWS_DEFAULT_REGION" not in settings.missing_for_workers(built(checkout, wished))


def test_aws_variables_are_for_every_process_and_for_the_users_shell(checkout: Checkout) -> None:
    assert AWS.items() <= built(checkout, AWS).items()


@pytest.mark.parametrize(
    ("url", "port", "disabled"),
    [
        ("smtp://mail.example", 25, (True, True)),
        ("smtp+starttls://mail.example", 587, (True, False)),
        ("smtps://mail.example:4650", 4650, (False, True)),
    ],
)
def test_airflow_mails_through_the_same_server_in_the_same_way(
    checkout: Checkout, url: str, port: int, disabled: tuple[bool, bool]
) -> None:
    found = built(checkout, {"CARENOTIFY_SMTP_URL": url, "CARENOTIFY_EMAIL_FROM": "a@hospital.example"})
    mail = json.loads(found["AIRFLOW_CONN_SMTP_DEFAULT"])
    assert (mail["host"], mail["port"]) == ("mail.example", port)
    assert (mail["extra"]["disable_ssl"], mail["extra"]["disable_tls"]) == disabled


@pytest.mark.parametrize(
    ("wished", "extra"),
    [
        ({"AWS_DEFAULT_REGION": "eu-central-1"}, {"region_name": "eu-central-1"}),
        ({"AWS_CONFIG_FILE": "/etc/aws/config"}, {}),
    ],
    ids=["a region", "files that AWS' SDK reads itself"],
)
def test_airflow_is_told_of_aws_when_its_mails_go_by_ses(
    checkout: Checkout, wished: dict[str, str], extra: dict[str, str]
) -> None:
    found = built(checkout, wished | {"CARENOTIFY_EMAIL_PROVIDERS": "ses, smtp"})
    aws = json.loads(found["AIRFLOW_CONN_AWS_DEFAULT"])
    assert aws == {"conn_type": "aws", "extra": extra}  # the rest is where the workers' SDK finds it too
    assert "AIRFLOW_CONN_AWS_DEFAULT" not in built(checkout, wished | {"CARENOTIFY_EMAIL_PROVIDERS": "smtp,ses"})


def test_calls_to_this_machine_never_go_through_the_users_proxy(checkout: Checkout) -> None:
    found = built(checkout, {"no_proxy": "intranet.example"})
    assert found["NO_PROXY"] == found["no_proxy"] == "intranet.example,127.0.0.1,localhost"
