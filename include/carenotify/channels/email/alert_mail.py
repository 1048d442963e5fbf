"""Hands a mail for staff over to a mail server or to Amazon SES, by the connections that patients' mails use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

from carenotify.channels.aws import AwsDoor, open_client
from carenotify.channels.email.compose import Sender, envelope_address
from carenotify.channels.email.ses_codes import REFUSALS
from carenotify.channels.email.smtp_session import SmtpConnection, SmtpServer
from carenotify.domain.alert_mail import AlertMail
from carenotify.domain.clock import Clock, system_clock
from carenotify.errors import AlertNotSentError, DeliveryError, SettingsError, UnconfirmedDeliveryError

log = logging.getLogger(__name__)

_POLICY = policy.SMTP.clone(cte_type="7bit")
_TIMEOUT_SECONDS = 10.0

AlertSender = Callable[[AlertMail], None]


def compose(mail: AlertMail, sender: Sender, to: Sequence[str], clock: Clock) -> bytes:
    """The mail in 7-bit ASCII with CRLF line ends, text with HTML as its alternative."""
    message = EmailMessage(_POLICY)
    message["From"] = sender.header
    message["To"] = ", ".join(to)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(clock())
    message["Message-ID"] = mail.message_id
    message["X-Carenotify-Alert-Id"] = mail.message_id.strip("<>")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notices, please
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return message.as_bytes()


class SmtpAlerts:
    """`url` as in CARENOTIFY_SMTP_URL, `sender` as in CARENOTIFY_EMAIL_FROM. Raises SettingsError when one is wrong."""

    def __init__(self, url: str, sender: str, to: Sequence[str], *, clock: Clock = system_clock) -> None:
        self._server = SmtpServer.parse(url)
        self._sender = Sender.parse(sender)
        self._to = to
        self._clock = clock

    def __call__(self, mail: AlertMail) -> None:
        """Hand the mail over, to each receiver for itself; done when one of them has it. Raises AlertNotSentError."""
        content = compose(mail, self._sender, self._to, self._clock)
        problems = [error for to in self._to if (error := self._refusal(to, content)) is not None]
        if len(problems) == len(self._to):
            unsure = any(isinstance(error, UnconfirmedDeliveryError) for error in problems)
            raise AlertNotSentError(f"the mail server took no mail: {problems[0].code}", perhaps_taken=unsure)
        if problems:
            log.warning("%d of %d receivers of alerts got no mail: %s", len(problems), len(self._to), problems[0].code)

    def _refusal(self, to: str, content: bytes) -> DeliveryError | None:
        try:
            with closing(self._connect()) as connection:
                connection.announce(self._sender.address, envelope_address(to))
                connection.hand_over(content)
        except DeliveryError as error:
            return error
        return None

    def _connect(self) -> SmtpConnection:
        try:
            return self._server.connect(_TIMEOUT_SECONDS)
        except DeliveryError as error:  # it would be the same for the others, after as long a wait
            raise AlertNotSentError(f"the mail server cannot be reached: {error.code}") from None


class SesAlerts:
    """Amazon SES gives each mail a Message-ID of its own; ours stands in X-Carenotify-Alert-Id."""

    def __init__(self, sender: str, to: Sequence[str], *, clock: Clock = system_clock) -> None:
        self._sender = Sender.parse(sender)
        self._to = to
        self._door = AwsDoor(open_client("sesv2", connections=1, timeout_seconds=_TIMEOUT_SECONDS), REFUSALS, clock)
        self._clock = clock

    def __call__(self, mail: AlertMail) -> None:
        """Hand the mail over, to all receivers at once. Raises AlertNotSentError."""
        try:
            self._door.hand_over(
                "send_email",
                Destination={"ToAddresses": [envelope_address(to) for to in self._to]},
                Content={"Raw": {"Data": compose(mail, self._sender, self._to, self._clock)}},
            )
        except DeliveryError as error:
            unsure = isinstance(error, UnconfirmedDeliveryError)
            raise AlertNotSentError(f"SES took no mail: {error.code}", perhaps_taken=unsure) from None


def first_that_takes(ways: Sequence[Callable[[], AlertSender]]) -> AlertSender:
    """Hands a mail to the first of these that takes it. Each is made when it is first needed.

    Where one may have taken it, no other is asked. What a setting is missing for is passed over.
    """

    def send(mail: AlertMail) -> None:
        problems = []
        for way in ways:
            try:
                return way()(mail)
            except AlertNotSentError as error:
                if error.perhaps_taken:
                    raise
                problems.append(str(error))
            except SettingsError as error:
                problems.append(str(error))
        raise AlertNotSentError("; ".join(problems))

    return send
