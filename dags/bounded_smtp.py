"""Airflow's way to a mail server: it waits for a silent one no longer than a task has time, and tells of refusals."""

from __future__ import annotations

import logging
import smtplib
from functools import cached_property
from typing import Any

from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

log = logging.getLogger(__name__)

# Two tries of a connection and two of a mail fit into the two minutes of a task. The hook alone waits 30 s six times.
_TIMEOUT_SECONDS = 15
_RETRIES = 1


class _TellsOfRefusals:
    def sendmail(self, *args: Any, **kwargs: Any) -> Any:
        """Hand a mail over. Who was refused although others were not would be told to nobody."""
        refused = super().sendmail(*args, **kwargs)
        if refused:
            codes = ", ".join(sorted({str(code) for code, _ in refused.values()}))
            log.warning("%d receivers of alerts got no mail: %s", len(refused), codes)
        return refused


class _Smtp(_TellsOfRefusals, smtplib.SMTP): ...


class _SmtpOverTls(_TellsOfRefusals, smtplib.SMTP_SSL): ...


class BoundedSmtpHook(SmtpHook):
    """Waits at most 15 s for each answer and tries once more, whatever the connection allows."""

    @property
    def timeout(self) -> int:
        """How long an answer may take, in seconds."""
        return min(super().timeout, _TIMEOUT_SECONDS)

    @property
    def smtp_retry_limit(self) -> int:
        """How often it is tried again."""
        return min(super().smtp_retry_limit, _RETRIES)

    def _build_client(self) -> smtplib.SMTP:
        client = _SmtpOverTls if self.use_ssl else _Smtp
        return client(**self._build_client_kwargs(is_async=False))


class BoundedSmtpNotifier(SmtpNotifier):
    """Airflow's notifier over that hook."""

    @cached_property
    def hook(self) -> BoundedSmtpHook:
        """How it mails."""
        return BoundedSmtpHook(smtp_conn_id=self.smtp_conn_id, auth_type=self.auth_type)
