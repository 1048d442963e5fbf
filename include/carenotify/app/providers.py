"""The table of providers: which ones a channel can have, and how each is made from the settings."""

from __future__ import annotations

import logging
from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial

from carenotify.channels.base import Provider
from carenotify.config import PREFIX, Settings
from carenotify.domain.alert_mail import AlertSender
from carenotify.domain.clock import Clock
from carenotify.domain.notification import Channel
from carenotify.errors import SettingsError

log = logging.getLogger(__name__)


class _MadeOnDemand(UserDict[Channel, tuple[Provider, ...]]):
    """Providers by channel; only those that somebody asked for are in it."""

    def __init__(self, make: Callable[[Channel], tuple[Provider, ...]]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, channel: Channel) -> tuple[Provider, ...]:
        self.data[channel] = self._make(channel)
        return self.data[channel]


class ProviderTable:
    """Every channel's providers, in the order of its setting. A new provider is one line in `_makers`."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    @property
    def names(self) -> Mapping[Channel, tuple[str, ...]]:
        """The names of each channel's providers, the one to use first ahead; each named once."""
        return {
            channel: tuple(dict.fromkeys(getattr(self._settings, f"{channel}_providers"))) for channel in self._makers
        }

    @cached_property
    def made(self) -> Mapping[Channel, tuple[Provider, ...]]:
        """The providers of each channel, all made when the channel is first asked for. Raises SettingsError."""
        return _MadeOnDemand(self._make)

    @property
    def _makers(self) -> Mapping[Channel, Mapping[str, Callable[[], Provider]]]:
        return {
            Channel.EMAIL: {"smtp": self._smtp, "ses": self._ses},
            Channel.SMS: {"twilio": self._twilio, "sns": self._sns},
        }

    def _make(self, channel: Channel) -> tuple[Provider, ...]:
        known, names = self._makers[channel], self.names[channel]
        for name in names:
            if name not in known:
                setting = f"{PREFIX}{channel.upper()}_PROVIDERS"
                raise SettingsError(f"{setting}: {name!r} is not a provider; known are {', '.join(known)}")
        return tuple(known[name]() for name in names)

    @cached_property
    def alert_sender(self) -> AlertSender:
        """Hands mail for staff to the first of CARENOTIFY_EMAIL_PROVIDERS that takes it, at each call anew."""
        from carenotify.channels.email.alert_mail import first_that_takes

        return first_that_takes(self._alert_ways)

    @cached_property
    def report_sender(self) -> AlertSender:
        """The same for the daily report, to those who get that."""
        from carenotify.channels.email.alert_mail import REPORT_ANSWER_SECONDS, first_that_takes

        setting, to = self._settings.report_receivers
        return first_that_takes(self._ways_to(setting, to, answer_seconds=REPORT_ANSWER_SECONDS))

    @cached_property
    def _alert_ways(self) -> Sequence[Callable[[], AlertSender]]:
        from carenotify.channels.email.alert_mail import ALERT_ANSWER_SECONDS

        return self._ways_to("alert_to", self._settings.alert_to, answer_seconds=ALERT_ANSWER_SECONDS)

    def _ways_to(
        self, setting: str, to: Sequence[str], *, answer_seconds: float
    ) -> Sequence[Callable[[], AlertSender]]:
        named = f"{PREFIX}{setting.upper()}"
        makers = {
            name: cache(partial(make, named, to, answer_seconds))
            for name, make in {"smtp": self._smtp_mail, "ses": self._ses_mail}.items()
        }
        return [makers[name] for name in self.names[Channel.EMAIL] if name in makers]

    @property
    def no_alerts_because(self) -> str | None:
        """Why this process cannot mail staff, as far as its settings show; None when it can."""
        if not self._settings.alert_to:
            return f"{PREFIX}ALERT_TO: is not set"
        problems = []
        for way in self._alert_ways:
            try:
                way()
            except SettingsError as error:
                problems.append(str(error))
        return "; ".join(problems) if len(problems) == len(self._alert_ways) else None

    def _smtp_mail(self, setting: str, to: Sequence[str], answer_seconds: float) -> AlertSender:
        from carenotify.channels.email.alert_mail import SmtpAlerts

        return SmtpAlerts(
            self._settings.required("smtp_url").get_secret_value(),
            self._settings.required("email_from"),
            to,
            setting=setting,
            answer_seconds=answer_seconds,
            clock=self._clock,
        )

    def _ses_mail(self, setting: str, to: Sequence[str], answer_seconds: float) -> AlertSender:
        from carenotify.channels.email.alert_mail import SesAlerts

        return SesAlerts(
            self._settings.required("email_from"),
            to,
            setting=setting,
            answer_seconds=answer_seconds,
            clock=self._clock,
        )

    def _smtp(self) -> Provider:
        from carenotify.channels.email.smtp import SmtpProvider

        return SmtpProvider(
            self._settings.required("smtp_url").get_secret_value(),
            self._settings.required("email_from"),
            clock=self._clock,
        )

    def _ses(self) -> Provider:
        from carenotify.channels.email.ses import SesProvider

        return SesProvider(
            self._settings.required("email_from"),
            configuration_set=self._settings.ses_configuration_set,
            threads=self._settings.send_threads,
            clock=self._clock,
        )

    def _twilio(self) -> Provider:
        from carenotify.channels.sms.twilio import TwilioProvider

        provider = TwilioProvider(
            self._settings.required("twilio_account_sid"),
            self._settings.required("twilio_auth_token").get_secret_value(),
            sender=self._settings.required("twilio_from"),
            urgent_sender=self._settings.twilio_urgent_from,
            base_url=self._settings.twilio_base_url,
            public_url=self._settings.twilio_callback_url,
            threads=self._settings.send_threads,
            clock=self._clock,
        )
        if self._settings.twilio_callback_url is None:
            log.warning("CARENOTIFY_PUBLIC_URL is an address of this machine: Twilio is not told where to report to")
        return provider

    def _sns(self) -> Provider:
        from carenotify.channels.sms.sns import SnsProvider

        return SnsProvider(sender=self._settings.sns_from, threads=self._settings.send_threads, clock=self._clock)
