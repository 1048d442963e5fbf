"""The environment of every process of a run folder, from defaults, credentials and what the user has set."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stack import airflow
from stack.checkout import Checkout

UI_PORT = "CARESTACK_UI_PORT"
AIRFLOW_DATABASE = "CARESTACK_AIRFLOW_DATABASE_URL"
NO_APT = "CARESTACK_NO_APT"
_FOR_THE_STACK = {UI_PORT, AIRFLOW_DATABASE, NO_APT}  # without CARENOTIFY_: that prefix is for what carenotify reads
# Names and digests of what we made ourselves, so that a shell which has read `.run/env` does not look like a wish.
GENERATED = "CARESTACK_GENERATED"
# What a worker cannot start without, by the provider that asks for it. AWS' credentials can be a role of the machine,
# which only its SDK finds out.
_AWS_REGION = "AWS_DEFAULT_REGION"
_PROVIDER_NEEDS = {
    "smtp": ("CARENOTIFY_SMTP_URL", "CARENOTIFY_EMAIL_FROM"),
    "twilio": ("CARENOTIFY_TWILIO_ACCOUNT_SID", "CARENOTIFY_TWILIO_AUTH_TOKEN", "CARENOTIFY_TWILIO_FROM"),
    "ses": ("CARENOTIFY_EMAIL_FROM", _AWS_REGION),
    "sns": (_AWS_REGION,),
}
_PROVIDERS = {"CARENOTIFY_EMAIL_PROVIDERS": "smtp", "CARENOTIFY_SMS_PROVIDERS": "twilio"}
_MAIL_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_OURS = ("CARENOTIFY_", "AIRFLOW_CONN_", "AWS_")


@dataclass(frozen=True)
class Places:
    """Where the servers of this run folder are."""

    database_url: str
    airflow_database_url: str
    broker_url: str
    ui_port: int
    sandbox_port: int | None = None
    sandbox_smtp_port: int | None = None


def wishes(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that the user has set: all of them, less those that came from a `.run/env`."""
    made = set(environment.get(GENERATED, "").split())
    return {
        name: value
        for name, value in environment.items()
        if f"{name}:{_digest(value)}" not in made and name != GENERATED and value.strip()
    }


def build(
    checkout: Checkout, places: Places, *, credentials: Mapping[str, str], wished: Mapping[str, str]
) -> dict[str, str]:
    """Every setting of the running system by its environment name; what the user wished wins."""
    asked = {name: value for name, value in wished.items() if name.startswith(_OURS)}
    chosen = _carenotify(checkout, places, credentials) | _sandbox(places, credentials) | asked
    chosen |= airflow.settings(
        checkout,
        port=places.ui_port,
        database_url=places.airflow_database_url,
        timezone=chosen["CARENOTIFY_TIMEZONE"],
        credentials=credentials,
    )
    return _connections(chosen) | chosen | _python_path(checkout, wished)


def _carenotify(checkout: Checkout, places: Places, credentials: Mapping[str, str]) -> dict[str, str]:
    address = f"http://127.0.0.1:{places.ui_port}"
    return {
        "CARENOTIFY_DATABASE_URL": places.database_url,
        "CARENOTIFY_BROKER_URL": places.broker_url,
        "CARENOTIFY_TIMEZONE": machine_timezone(),
        "CARENOTIFY_PUBLIC_URL": address,
        "CARENOTIFY_API_URL": f"{address}/carenotify/v1",
        "CARENOTIFY_API_KEY": credentials["api_key"],
        "CARENOTIFY_ENCRYPTION_KEYS": credentials["encryption_key"],
        "CARENOTIFY_INDEX_KEY": credentials["index_key"],
        "CARENOTIFY_DATA_DOCS_PATH": str(checkout.run / "data-docs"),
    }


def _sandbox(places: Places, credentials: Mapping[str, str]) -> dict[str, str]:
    if places.sandbox_port is None:
        return {}
    address = f"http://127.0.0.1:{places.sandbox_port}"
    return {
        "CARENOTIFY_SANDBOX_URL": address,
        "CARENOTIFY_PATIENT_API_URL": f"{address}/fhir",
        "CARENOTIFY_TWILIO_BASE_URL": address,
        "CARENOTIFY_TWILIO_ACCOUNT_SID": credentials["twilio_account_sid"],
        "CARENOTIFY_TWILIO_AUTH_TOKEN": credentials["twilio_auth_token"],
        "CARENOTIFY_TWILIO_FROM": "+15005550006",
        "CARENOTIFY_SMTP_URL": f"smtp://127.0.0.1:{places.sandbox_smtp_port}",
        "CARENOTIFY_EMAIL_FROM": "reminders@hospital.example",
        "CARENOTIFY_ALERT_TO": "operations@hospital.example",
        "CARENOTIFY_HOSPITAL_NAME": "Lindenhof Hospital",
        "CARENOTIFY_HOSPITAL_PHONE": "+49 30 5550100",
        "CARENOTIFY_TIMEZONE": "Europe/Berlin",
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
    }


def _connections(chosen: Mapping[str, str]) -> dict[str, str]:
    """Airflow's connections, from the same settings that the workers read."""
    database = urlsplit(chosen["CARENOTIFY_DATABASE_URL"])
    found = {
        "AIRFLOW_CONN_CARENOTIFY_DB": airflow.connection(
            "postgres",
            host=database.hostname,
            port=database.port,
            login=unquote(database.username or ""),
            password=unquote(database.password or ""),
            schema=unquote(database.path.removeprefix("/")),
        )
    }
    if patient_api := chosen.get("CARENOTIFY_PATIENT_API_URL"):
        found["AIRFLOW_CONN_PATIENT_API"] = airflow.connection("http", host=patient_api)
    if smtp := chosen.get("CARENOTIFY_SMTP_URL"):
        found["AIRFLOW_CONN_SMTP_DEFAULT"] = _mail_connection(smtp, chosen)
    if chosen.get("CARENOTIFY_EMAIL_PROVIDERS", "").split(",")[0].strip() == "ses":
        # The variables, files or role that the workers use too are found by AWS' SDK itself.
        region = {"region_name": chosen[_AWS_REGION]} if _AWS_REGION in chosen else {}
        found["AIRFLOW_CONN_AWS_DEFAULT"] = airflow.connection("aws", extra=region)
    return found


def _mail_connection(url: str, chosen: Mapping[str, str]) -> str:
    server = urlsplit(url)
    extra = {
        "disable_ssl": server.scheme != "smtps",
        "disable_tls": server.scheme != "smtp+starttls",
        "timeout": 10,
        "from_email": chosen.get("CARENOTIFY_EMAIL_FROM"),
    }
    return airflow.connection(
        "smtp",
        host=server.hostname,
        port=server.port or _MAIL_PORTS.get(server.scheme),
        login=unquote(server.username or ""),
        password=unquote(server.password or ""),
        extra=extra,
    )


def _python_path(checkout: Checkout, wished: Mapping[str, str]) -> dict[str, str]:
    include = str(checkout.root / "include")
    others = [part for part in wished.get("PYTHONPATH", "").split(":") if part and part != include]
    hosts = [wished.get("no_proxy") or wished.get("NO_PROXY") or "", "127.0.0.1,localhost"]
    no_proxy = ",".join(host for host in hosts if host)
    return {"PYTHONPATH": ":".join([include, *others]), "NO_PROXY": no_proxy, "no_proxy": no_proxy}


def missing_for_workers(chosen: Mapping[str, str]) -> list[str]:
    """The settings that the workers need and that nobody has set."""
    named = [
        name.strip() for variable, default in _PROVIDERS.items() for name in chosen.get(variable, default).split(",")
    ]
    needed = dict.fromkeys(name for provider in named for name in _PROVIDER_NEEDS.get(provider, ()))
    given = {*chosen, _AWS_REGION} if _has_aws_profiles(chosen) else {*chosen}
    return [name for name in needed if name not in given]


def _has_aws_profiles(chosen: Mapping[str, str]) -> bool:
    """Whether there is a file in which AWS' SDK may find its region."""
    return Path(chosen.get("AWS_CONFIG_FILE", "~/.aws/config")).expanduser().is_file()


def child_environment(wished: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a process: the user's own, and the settings over it."""
    dropped = _FOR_THE_STACK | {"PYTHONHOME", "VIRTUAL_ENV"}
    return {name: value for name, value in wished.items() if name not in dropped} | dict(settings)


def machine_timezone() -> str:
    """The IANA name of this machine's time zone, UTC when it does not tell."""
    zone = str(Path("/etc/localtime").resolve())
    return zone.partition("/zoneinfo/")[2] or "UTC"


def shell_lines(settings: Mapping[str, str], *, wished: Mapping[str, str]) -> str:
    """`export NAME='value'` lines for a shell to read, with the note that tells our values from the user's."""
    made = [f"{name}:{_digest(value)}" for name, value in sorted(settings.items()) if wished.get(name) != value]
    everything = {**dict(sorted(settings.items())), GENERATED: " ".join(made)}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in everything.items())


def fingerprint(settings: Mapping[str, str]) -> str:
    """A short text that changes when any setting does."""
    return _digest("\0".join(f"{name}={value}" for name, value in sorted(settings.items())))


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:16]
