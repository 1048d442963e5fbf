"""Hands a mail for staff over to a mail server or to Amazon SES, by the connections that patients' mails use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

from carenotify.channels.aws import AwsDoor, open_client
from carenotify.channels.email.compose import Sender, envelope_address
from carenotify.channels.email.ses_codes import REFUSALS
from carenotify.channels.email.smtp_session import SmtpServer
from carenotify.domain.alert_mail import AlertMail, AlertSender, RefusedReceiver
from carenotify.domain.clock import Clock, system_clock
from carenotify.errors import AlertNotSentError, DeliveryError, SettingsError, UnconfirmedDeliveryError

log = logging.getLogger(__name__)

_POLICY = policy.SMTP.clone(cte_type="7bit")
_TIMEOUT_SECONDS = 10.0
# How long the answer to a whole mail is waited for. A server may look for viruses first, and whoever has given up by
# then sends a second one; RFC 5321 4.5.3.2.6 speaks of ten minutes. The watchdog stands still meanwhile, so alerts wait
# for a part of their lease only (journeys/mail_alerts.py); the report has a task of its own.
ALERT_ANSWER_SECONDS = 60.0
REPORT_ANSWER_SECONDS = 180.0
_ALERT_TO = "CARENOTIFY_ALERT_TO"


def compose(mail: AlertMail, sender: Sender, to: Sequence[str], clock: Clock) -> bytes:
    """The mail in 7-bit ASCII with CRLF line ends, text with HTML as its alternative."""
    message = EmailMessage(_POLICY)
    message["From"] = sender.header
    message["To"] = ", ".join(to)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(clock())
    message["Message-ID"] = mail.message_id
    if mail.report_day is None:
        message["X-Carenotify-Alert-Id"] = mail.message_id.strip("<>")
    else:  # no alert, for those who sort their mail by that
        message["X-Carenotify-Report-Day"] = mail.report_day.isoformat()
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notices, please
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    for file in mail.files:
        message.add_attachment(file.text, subtype="csv", filename=file.name, cte="quoted-printable")
    return message.as_bytes()


class SmtpAlerts:
    """`url` as in CARENOTIFY_SMTP_URL, `sender` as in CARENOTIFY_EMAIL_FROM; `setting` is where `to` comes from.

    Its answer to a whole mail is waited for `answer_seconds`. Raises SettingsError when a setting is wrong.
    """

    def __init__(
        self,
        url: str,
        sender: str,
        to: Sequence[str],
        *,
        setting: str = _ALERT_TO,
        answer_seconds: float = ALERT_ANSWER_SECONDS,
        clock: Clock = system_clock,
    ) -> None:
        self._server = SmtpServer.parse(url)
        self._sender = Sender.parse(sender)
        self._to = to
        self._setting = setting
        self._answer_seconds = answer_seconds
        self._clock = clock

    def __call__(self, mail: AlertMail) -> Sequence[RefusedReceiver]:
        """Hand one mail over for all receivers; gives those whom the server refused.

        In one conversation, so that either some have it and it is told, or nobody has it and it is told anew. Raises
        AlertNotSentError.
        """
        content = compose(mail, self._sender, self._to, self._clock)
        addresses, refused = _addresses(self._to, self._setting)
        with _said_as_alert("the mail server cannot be reached"):
            connection = self._server.connect(_TIMEOUT_SECONDS)
        with closing(connection), _said_as_alert("the mail server took no mail"):
            refused |= connection.announce_to_several(self._sender.address, addresses)
            connection.hand_over(content, answer_seconds=self._answer_seconds)
        return _noted(refused, of=len(self._to), setting=self._setting)


class SesAlerts:
    """Amazon SES gives each mail a Message-ID of its own; an alert's stands in X-Carenotify-Alert-Id too."""

    def __init__(
        self,
        sender: str,
        to: Sequence[str],
        *,
        setting: str = _ALERT_TO,
        answer_seconds: float = ALERT_ANSWER_SECONDS,
        clock: Clock = system_clock,
    ) -> None:
        self._sender = Sender.parse(sender)
        self._to = to
        self._setting = setting
        self._door = AwsDoor(open_client("sesv2", connections=1, timeout_seconds=answer_seconds), REFUSALS, clock)
        self._clock = clock

    def __call__(self, mail: AlertMail) -> Sequence[RefusedReceiver]:
        """Hand one mail over for all receivers; gives those who have no mail address. Raises AlertNotSentError."""
        addresses, refused = _addresses(self._to, self._setting)
        with _said_as_alert("SES took no mail"):
            self._door.hand_over(
                "send_email",
                Destination={"ToAddresses": list(addresses.values())},
                Content={"Raw": {"Data": compose(mail, self._sender, self._to, self._clock)}},
            )
        return _noted(refused, of=len(self._to), setting=self._setting)


def _addresses(to: Sequence[str], setting: str) -> tuple[dict[int, str], dict[int, DeliveryError]]:
    """The receivers' addresses, and what is wrong with those that are none; both by the receiver's number, from 1."""
    addresses: dict[int, str] = {}
    wrong: dict[int, DeliveryError] = {}
    for number, one in enumerate(to, start=1):
        try:
            addresses[number] = envelope_address(one)
        except DeliveryError as error:
            wrong[number] = error
    if not addresses:
        raise AlertNotSentError(f"{setting}: there is no mail address in it: {wrong[1].code}")
    return addresses, wrong


def _noted(refused: Mapping[int, DeliveryError], *, of: int, setting: str) -> list[RefusedReceiver]:
    told = [RefusedReceiver(number, error.code) for number, error in sorted(refused.items())]
    if told:
        codes = ", ".join(sorted({one.code for one in told}))
        log.warning("%d of %d receivers in %s got no mail: %s", len(told), of, setting, codes)
    return told


@contextmanager
def _said_as_alert(problem: str) -> Iterator[None]:
    try:
        yield
    except DeliveryError as error:
        unsure = isinstance(error, UnconfirmedDeliveryError)
        raise AlertNotSentError(f"{problem}: {error.code}", perhaps_taken=unsure) from None


def first_that_takes(ways: Sequence[Callable[[], AlertSender]]) -> AlertSender:
    """Hands a mail to the first of these that takes it. Each is made when it is first needed.

    Where one may have taken it, no other is asked. What a setting is missing for is passed over.
    """

    def send(mail: AlertMail) -> Sequence[RefusedReceiver]:
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
