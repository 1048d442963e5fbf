"""The only reader of the environment: every CARENOTIFY_ setting, checked once, as a frozen value.

docs/settings.md lists them with their meaning; a test keeps the two in step.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import time
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from carenotify.domain.notification import Channel
from carenotify.domain.setting_values import (
    BrokerUrl,
    DatabaseUrl,
    PublicUrl,
    Region,
    SomeChannels,
    SomeKeys,
    SomeWords,
    TimeOfDay,
    Window,
    Words,
    Zone,
    is_here,
)
from carenotify.domain.window import SendWindow
from carenotify.errors import SettingsError

PREFIX = "CARENOTIFY_"

# The settings that a provider cannot do without.
PROVIDERS_NEED: Mapping[str, tuple[str, ...]] = {
    "smtp": ("smtp_url", "email_from"),
    "ses": ("email_from",),
    "twilio": ("twilio_account_sid", "twilio_auth_token", "twilio_from"),
    "sns": (),
}


class Settings(BaseModel):
    """Every setting, under its environment name without the prefix, in small letters."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    # where things are
    database_url: DatabaseUrl
    broker_url: BrokerUrl
    patient_api_url: str | None = None
    public_url: PublicUrl = "http://127.0.0.1:8080"
    api_url: str | None = None
    api_key: SecretStr | None = None
    sandbox_url: str | None = None

    # the hospital
    timezone: Zone
    hospital_name: str = "the hospital"
    hospital_phone: str = ""
    default_language: str = "en"
    default_region: Region = "DE"
    default_channels: SomeChannels = (Channel.SMS, Channel.EMAIL)

    # personal data
    encryption_keys: SomeKeys
    index_key: Annotated[SecretStr, Field(min_length=16)]

    # providers
    email_providers: SomeWords = ("smtp",)
    sms_providers: SomeWords = ("twilio",)
    email_from: str | None = None
    smtp_url: SecretStr | None = None
    twilio_base_url: str = "https://api.twilio.com"
    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_from: str | None = None
    twilio_urgent_from: str | None = None
    ses_configuration_set: str | None = None
    sns_from: str | None = None
    twilio_messages_per_second: Annotated[float, Field(ge=0)] = 0.0
    sns_messages_per_second: Annotated[float, Field(ge=0)] = 0.0
    ses_messages_per_second: Annotated[float, Field(ge=0)] = 0.0
    smtp_messages_per_second: Annotated[float, Field(ge=0)] = 0.0
    recipient_messages_per_hour: Annotated[int, Field(ge=0)] = 100
    recipient_limit_spares_urgent: bool = True

    # what comes back from providers and people
    ses_topic_arns: Words = ()
    look_up_after_seconds: Annotated[float, Field(gt=0)] = 3600.0
    receipt_days: Annotated[float, Field(gt=0)] = 3.0
    receipt_keep_days: Annotated[float, Field(ge=1, le=3650)] = 90.0

    # the HTTP surface, each process by itself
    api_requests_per_minute_per_key: Annotated[int, Field(ge=1)] = 6000
    api_requests_per_minute_per_address: Annotated[int, Field(ge=1)] = 12_000
    api_trusted_proxies: Annotated[int, Field(ge=0, le=9)] = 0

    # alerts
    alert_to: Words = ()
    alert_plan_grace_minutes: Annotated[float, Field(ge=0, le=720)] = 15.0
    alert_ingest_silence_hours: Annotated[float, Field(gt=0, le=168)] = 3.0
    alert_watch_silence_minutes: Annotated[float, Field(gt=0, le=1_440)] = 15.0

    # the daily report
    report_to: Words = ()
    report_time: TimeOfDay = time(18)

    # loads
    ingest_days_ahead: Annotated[int, Field(ge=1, le=366)] = 14
    max_bad_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    max_bad_address_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_changes_per_load: Annotated[int, Field(ge=0)] = 500
    source_timeout_seconds: Annotated[float, Field(gt=0)] = 5.0
    source_attempts: Annotated[int, Field(ge=1, le=50)] = 8
    data_docs_path: str = "data-docs"

    # reminders
    reminder_days_before: Annotated[int, Field(ge=0, le=60)] = 3
    send_window: Window = SendWindow(9 * 60, 12 * 60)
    publish_batch: Annotated[int, Field(ge=1, le=10_000)] = 1000

    # fallback
    fallback_without_receipt_minutes: Annotated[int, Field(ge=0, le=10_080)] = 0
    fallback_before_close_minutes: Annotated[int, Field(ge=0, le=1_440)] = 30

    # workers
    send_threads: Annotated[int, Field(ge=1, le=256)] = 16
    claim_seconds: Annotated[float, Field(gt=0)] = 30.0
    publish_lease_seconds: Annotated[float, Field(gt=0)] = 30.0
    relay_interval_seconds: Annotated[float, Field(gt=0)] = 0.5
    requeue_after_seconds: Annotated[float, Field(gt=0)] = 120.0

    def messages_per_second(self, provider: str) -> float | None:
        """What all workers together may hand to a provider; None without a limit."""
        return getattr(self, f"{provider}_messages_per_second", 0.0) or None

    @property
    def report_receivers(self) -> tuple[str, tuple[str, ...]]:
        """Which setting says who is mailed the daily report, and who it is: where none does, whoever is alerted."""
        return ("report_to", self.report_to) if self.report_to else ("alert_to", self.alert_to)

    @property
    def twilio_callback_url(self) -> str | None:
        """What callback URLs begin with; None where Twilio, which is elsewhere, would look for us on itself.

        Twilio refuses a text whose callback it cannot call (its error 21609).
        """
        return None if is_here(self.public_url) and not is_here(self.twilio_base_url) else self.public_url

    def serves(self, channel: Channel) -> bool:
        """Whether a channel has anybody who sends: patients are told on it by default, or its providers are set up."""
        if channel in self.default_channels:
            return True
        needed = (PROVIDERS_NEED.get(name, ()) for name in getattr(self, f"{channel}_providers"))
        return all(getattr(self, name) is not None for names in needed for name in names)

    def required(self, name: str) -> Any:
        """A setting that this process cannot do without. Raises SettingsError naming its variable."""
        value = getattr(self, name)
        if value is None:
            raise SettingsError(f"{PREFIX}{name.upper()}: is not set")
        return value


def traces_exporter(environment: Mapping[str, str] | None = None) -> str | None:
    """Where OpenTelemetry's own variables send traces: `otlp` or `console`; None when nobody is to trace.

    Its SDK reads the other variables (endpoint, headers, sampler, service name) itself. Raises SettingsError.
    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    environment = os.environ if environment is None else environment
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "none"
    if exporter not in {"none", "otlp", "console"}:
        raise SettingsError(f"OTEL_TRACES_EXPORTER: {exporter!r} is not one of otlp, console and none")
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if exporter == "otlp" and protocol not in {None, "", "http/protobuf"}:
        raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol!r} is not what we speak, which is http/protobuf")
    return None if exporter == "none" else exporter


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check every CARENOTIFY_ variable.

    Raises SettingsError naming each variable that is missing, wrong or unknown, and never its value when secret.
    """
    environment = os.environ if environment is None else environment
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value.strip()
    }
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        name = PREFIX + str(problem["loc"][0]).upper()
        message = {"missing": "is not set", "extra_forbidden": "is not a setting (docs/settings.md lists them)"}.get(
            problem["type"], problem["msg"].removeprefix("Value error, ")
        )
        lines.append(f"{name}: {message}")
    return "\n".join(lines)
