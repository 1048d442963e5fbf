"""One tree of error types; each docstring says when it is raised and who can do something about it.

Messages never hold personal data: they name ids, fields, settings and codes, not values.
"""

from __future__ import annotations

from datetime import timedelta


class CarenotifyError(Exception):
    """Root of every error that carenotify raises on purpose."""


class SettingsError(CarenotifyError):
    """A setting is missing or wrong. The message names the environment variable and what it should be."""


class WordingError(CarenotifyError):
    """A template cannot be used: a variable it names does not exist, or its syntax is broken."""


class StorageError(CarenotifyError):
    """The database refused something that a person must look at (not a passing loss of connection)."""


class DatabaseUnavailableError(StorageError):
    """PostgreSQL is away, restarting or unreachable. Another try may help; whatever was not committed is not there."""


class DeadlockError(DatabaseUnavailableError):
    """PostgreSQL ended this transaction so that another one, which waited for it, could go on. Try it again."""


class DecryptionError(StorageError):
    """A sealed value cannot be opened with any of CARENOTIFY_ENCRYPTION_KEYS."""


class TooBusyError(CarenotifyError):
    """As many callers as may are working out reports, or looking up lists. Another try in some seconds may help."""


class NotFoundError(CarenotifyError):
    """Something was asked for by id and is not there."""


class KeyFormatError(CarenotifyError):
    """A text that was given as an API key cannot be one. The message says what a key looks like."""


class PreferencesFileError(CarenotifyError):
    """A file of preferences cannot be taken over. The message names the line and the column, not the patient's wish."""


class SignatureUncheckedError(CarenotifyError):
    """Nobody can tell just now whether a call was signed by who it seems to come from. The message says why."""


# --- the patient API -------------------------------------------------------------------------


class SourceError(CarenotifyError):
    """The patient API could not be used. Subclasses say whether another try may help."""


class SourceUnavailableError(SourceError):
    """Temporary: time-out, cut connection, 429, 5xx, truncated body. Raised once the retries are spent."""


class SourceAnswerError(SourceError):
    """The patient API answered something that is not the FHIR R4 we know (HTML, another shape, endless pages)."""


class LoadHeldError(CarenotifyError):
    """A load was held back whole: too many bad rows, or too many changes. The last good copy stays."""


# --- planning --------------------------------------------------------------------------------


class WindowClosedError(CarenotifyError):
    """The send window of the asked-for day is over, so nothing may be planned for it any more."""


class PlanDayError(CarenotifyError):
    """Reminders were asked for on a day that is still to come; only a dry run can look ahead."""


# --- change events and requests ---------------------------------------------------------------


class EventConflictError(CarenotifyError):
    """An event id, or an idempotency key, came again with another body. Nothing was changed."""


class FhirElementError(CarenotifyError):
    """A FHIR resource that was sent to us lacks an element, or says something in it that cannot be."""

    def __init__(self, element: str, problem: str) -> None:
        super().__init__(f"{element} {problem}")
        self.element = element
        self.problem = problem


class PatientUnknownError(CarenotifyError):
    """A notification was asked for a patient whom no load and no event has brought yet."""


class NotCancellableError(CarenotifyError):
    """A notification was to be cancelled that is being sent or is over. `status` is how it stands."""

    def __init__(self, status: str) -> None:
        super().__init__(f"a notification that is {status} cannot be cancelled")
        self.status = status


class NotReplayableError(CarenotifyError):
    """A dead letter was to be replayed or discarded that cannot be. The message says why, and what to do instead."""


# --- the broker ------------------------------------------------------------------------------


class BrokerError(CarenotifyError):
    """RabbitMQ cannot be reached, or refused what was asked. Rows stay pending; nothing is lost."""


class EnvelopeError(CarenotifyError):
    """A message on a queue is not an envelope that we wrote."""


# --- delivery --------------------------------------------------------------------------------


class DeliveryError(CarenotifyError):
    """A provider did not take a message. `code` is the provider's own, for the story and the statistics."""

    def __init__(self, code: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after = retry_after


class NotTriedError(DeliveryError):
    """Our own deadline was over before the message was handed over. Due again, without spending an attempt."""


class TemporaryDeliveryError(DeliveryError):
    """May work later: 5xx, time-out, cut connection, greylisting. Spends one attempt."""


class BusyAddressError(TemporaryDeliveryError):
    """This address takes nothing now: its mailbox is busy, or its server lets strangers wait. Others may go through."""


class UnconfirmedDeliveryError(TemporaryDeliveryError):
    """The provider may have taken it: its answer was lost or cannot be read. Sent again, and counted as uncertain."""


class ThrottledError(DeliveryError):
    """The provider asks us to slow down. Due later, without spending an attempt."""


class MisconfiguredError(ThrottledError):
    """Our account or our settings are refused: every message is hurt and none is to blame. Due later, as throttled."""


class AddressRejectedError(DeliveryError):
    """Permanent for this message to this address: a full mailbox, a region that is not served. Another may take it."""


class DeadAddressError(AddressRejectedError):
    """The address is no good for good: unknown number, landline, no such mailbox. It goes on the suppression list."""


class MessageRejectedError(DeliveryError):
    """Permanent for this message, whatever the address: too long, refused content, our own misconfiguration."""


class OptedOutError(DeliveryError):
    """The provider knows that this person said STOP (Twilio 21610). The address goes on the suppression list."""


# --- telling staff ---------------------------------------------------------------------------


class AlertNotSentError(CarenotifyError):
    """No mail server took the mail for staff. `perhaps_taken`: its answer was lost, so it may have arrived.

    What it was to tell stays where it is and is mailed the next time.
    """

    def __init__(self, problem: str, *, perhaps_taken: bool = False) -> None:
        super().__init__(problem)
        self.perhaps_taken = perhaps_taken
