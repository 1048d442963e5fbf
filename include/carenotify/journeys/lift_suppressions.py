"""Show what stands against a patient's addresses, and take it back when the address is good again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from carenotify.domain.patient import ContactPoint
from carenotify.domain.receipt import SuppressionReason
from carenotify.errors import DecryptionError, NotFoundError
from carenotify.storage import audit_log, suppressions
from carenotify.storage.database import Database, Transaction
from carenotify.storage.recipients import read_recipient

# What a provider found. What the person said (a STOP, a complaint) is lifted only when somebody names it.
FOUND_BY_PROVIDERS = (SuppressionReason.BOUNCED, SuppressionReason.REJECTED)


@dataclass(frozen=True, slots=True)
class SuppressedContact:
    """One reason against one of a patient's contact points."""

    contact: ContactPoint
    reason: SuppressionReason
    since: datetime


def show_suppressions(database: Database, patient_id: str) -> list[SuppressedContact]:
    """What stands against the addresses that the patient has now, oldest first. Raises NotFoundError."""
    with database.transaction() as transaction:
        contacts = _contacts(database, transaction, patient_id)
        found = suppressions.against(transaction, contacts, sealer=database.sealer)
    return [SuppressedContact(contacts[one.address], one.reason, one.since) for one in found]


def lift_suppressions(
    database: Database, patient_id: str, reasons: Collection[SuppressionReason], *, by: str, now: datetime
) -> Counter[SuppressionReason]:
    """Send to the patient's addresses again, as far as these reasons go; says how many of each were lifted.

    An entry is the address's, so it is lifted for everybody who shares it. Raises NotFoundError.
    """
    with database.transaction() as transaction:
        addresses = _contacts(database, transaction, patient_id)
        lifted = suppressions.lift_each(transaction, addresses, reasons, sealer=database.sealer)
        subjects = [f"{patient_id} {reason}" for reason in lifted]
        audit_log.record_each(transaction, actor=by, action="suppression.lifted", subjects=subjects, now=now)
    return lifted


def _contacts(database: Database, transaction: Transaction, patient_id: str) -> dict[str, ContactPoint]:
    """The patient's contact points by address. Raises NotFoundError, and DecryptionError."""
    recipient = read_recipient(transaction, patient_id, sealer=database.sealer)
    if recipient is None:
        raise NotFoundError(f"there is no patient {patient_id}")
    if recipient.unreadable:
        raise DecryptionError(f"the record of patient {patient_id} cannot be opened")
    return {contact.value: contact for contact in recipient.patient.contacts}
