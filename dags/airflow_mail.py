"""Mail to staff over Airflow's connections: `aws_default` when SES is the first e-mail provider, or `smtp_default`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import format_datetime
from smtplib import SMTPServerDisconnected
from typing import Any

from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowException

from carenotify.channels.email.compose import Sender
from carenotify.config import Settings
from carenotify.domain.alert_mail import AlertMail
from carenotify.domain.clock import Clock
from carenotify.errors import AlertNotSentError, CarenotifyError


def notify(settings: Settings, *, message_id: str, subject: str, html: str, named: dict[str, str]) -> None:
    """Mail CARENOTIFY_ALERT_TO by Airflow's notifier; subject and html are Jinja templates of what is named.

    Raises AlertNotSentError when nobody took the mail.
    """
    with _saying_only_its_kind():
        notifier = _notifier(settings, message_id=message_id, subject=subject, html=html)
        notifier.render_template_fields(named)
        notifier.notify(named)


def _notifier(settings: Settings, *, message_id: str, subject: str, html: str) -> BaseNotifier:
    mail: dict[str, Any] = {
        "to": list(settings.alert_to),
        "subject": subject,
        "html_content": html,
        "custom_headers": _headers(message_id),
    }
    if _by_ses(settings):
        from bounded_ses import BoundedSesNotifier

        return BoundedSesNotifier(mail_from=Sender.parse(settings.required("email_from")).header, **mail)
    from bounded_smtp import BoundedSmtpNotifier

    return BoundedSmtpNotifier(from_email=_sender_or_the_connections(settings), **mail)


def alert_sender(settings: Settings, clock: Clock) -> Callable[[AlertMail], None]:
    """What hands an alert mail over to CARENOTIFY_ALERT_TO, and raises AlertNotSentError when nobody took it.

    SES puts a Message-ID of its own in the place of ours, which stands in X-Carenotify-Alert-Id too.
    """
    hand_over = _hand_over_to_ses if _by_ses(settings) else _hand_over_to_smtp

    def send(mail: AlertMail) -> None:
        with _saying_only_its_kind():
            hand_over(_composed(mail, settings, clock))

    return send


@contextmanager
def _saying_only_its_kind() -> Iterator[None]:
    """The hooks raise whatever their libraries and the network do, in texts that may name who was written to."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        safe = str(error) if isinstance(error, AirflowException | CarenotifyError) else type(error).__name__
        raise AlertNotSentError(f"no mail server took the mail ({safe})", perhaps_taken=_perhaps_taken(error)) from None


def _perhaps_taken(error: Exception) -> bool:
    """Whether a mail may have been taken all the same: the connection broke before the server's answer came."""
    if isinstance(error, SMTPServerDisconnected):
        return True
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

    return isinstance(error, ConnectionClosedError | ReadTimeoutError)


def _by_ses(settings: Settings) -> bool:
    return settings.email_providers[0] == "ses"


def _sender_or_the_connections(settings: Settings) -> str | None:
    return Sender.parse(settings.email_from).header if settings.email_from else None


def _headers(message_id: str) -> dict[str, str]:
    return {
        "Message-ID": message_id,
        "X-Carenotify-Alert-Id": message_id.strip("<>"),
        "Auto-Submitted": "auto-generated",  # RFC 3834: no holiday notices, please
    }


def _composed(mail: AlertMail, settings: Settings, clock: Clock) -> EmailMessage:
    message = EmailMessage()
    if sender := _sender_or_the_connections(settings):
        message["From"] = sender
    message["To"] = ", ".join(settings.alert_to)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(clock())
    for name, value in _headers(mail.message_id).items():
        message[name] = value
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def _hand_over_to_smtp(message: EmailMessage) -> None:
    from bounded_smtp import BoundedSmtpHook

    with BoundedSmtpHook() as hook:
        if "From" not in message:
            message["From"] = hook.from_email
        # The hook's own method sends no text beside the HTML.
        hook._smtp_client.send_message(message)  # noqa: SLF001


def _hand_over_to_ses(message: EmailMessage) -> None:
    from bounded_ses import BoundedSesHook

    BoundedSesHook().get_conn().send_raw_email(RawMessage={"Data": message.as_bytes()})
