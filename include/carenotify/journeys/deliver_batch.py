"""From ids off the queue to outcomes in the database: claim, send, record."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from pydantic import ValidationError

from carenotify.channels.base import OutgoingMessage, Provider
from carenotify.domain import delivery
from carenotify.domain.clock import Clock
from carenotify.domain.delivery import Attempt, Outcome
from carenotify.domain.kinds import KINDS, ReminderData
from carenotify.domain.notification import Lane, Status
from carenotify.domain.patient import addresses
from carenotify.domain.recipient_limit import RecipientLimit
from carenotify.domain.window import local_day
from carenotify.domain.wording import Hospital, TemplateVersion, render
from carenotify.errors import DeliveryError, WordingError
from carenotify.journeys.choose_provider import ProviderChooser
from carenotify.metrics import record_hand_over
from carenotify.storage import claims, results, templates
from carenotify.storage.claims import Claim
from carenotify.storage.database import Database, Transaction
from carenotify.storage.patients import refuse_wrong_keys
from carenotify.storage.returned_messages import keep_unknown
from carenotify.tracing import span

log = logging.getLogger(__name__)

# How long a provider may take once a message is being handed over. What is left of a claim must be longer than that,
# so that nobody else sends the message while the call is still under way.
_CALL = timedelta(seconds=10)
# Surely not taken, and no fault of the message's: when another provider is well, it need not wait for this one.
_NOT_TAKEN = frozenset({"misconfigured", "provider_down"})


@dataclass(slots=True)
class Deliverer:
    """Delivers through whichever provider is chosen. Safe to call from many threads."""

    database: Database
    chooser: ProviderChooser
    hospital: Hospital
    clock: Clock
    claim_for: timedelta
    recipient_limit: RecipientLimit
    _wordings: dict[int, TemplateVersion] = field(default_factory=dict)

    def claim(self, ids: Sequence[UUID]) -> tuple[list[Claim], Counter[str]]:
        """Claim what of these may be sent now; the counter says why others were refused for good or put back.

        What is in neither belongs to another worker, is done, or is not due; its message has served its purpose. One
        that nobody knows is a dead letter. Raises DecryptionError, and claims nothing, with keys that open nothing.
        """
        now = self.clock()
        with self.database.transaction() as transaction:
            token = uuid4()
            taken, refused, unreadable = claims.claim(
                transaction,
                ids,
                token=token,
                now=now,
                claimed_until=now + self.claim_for,
                limit=self.recipient_limit,
                sealer=self.database.sealer,
            )
            if unreadable:
                if not taken:
                    refuse_wrong_keys(transaction, self.database.sealer)
                self._give_up(transaction, unreadable, token=token, now=now)
            if len(taken) + refused.total() + len(unreadable) < len(ids):
                keep_unknown(transaction, ids, now=now, sealer=self.database.sealer)
            missing = {claim.template_version_id for claim in taken} - self._wordings.keys()
            if missing:
                self._wordings |= templates.by_id(transaction, missing)
        return taken, refused + Counter(unreadable=len(unreadable))

    def _give_up(
        self, transaction: Transaction, unreadable: Sequence[tuple[UUID, int]], *, token: UUID, now: datetime
    ) -> None:
        """Rows that cannot be opened fail alone."""
        outcomes = [
            delivery.given_up(Attempt(notification_id, token, attempts + 1), Status.FAILED, "unreadable")
            for notification_id, attempts in unreadable
        ]
        results.record(transaction, outcomes, now=now, sealer=self.database.sealer)

    def send(self, claim: Claim) -> Outcome:
        """Word and send one claimed notification to the patient's best address, and say what came of it."""
        attempt = Attempt(claim.notification_id, claim.token, claim.attempt)
        now = self.clock()
        seconds_left = (claim.claimed_until - min(_CALL, self.claim_for / 2) - now).total_seconds()
        if seconds_left <= 0:
            return delivery.put_back(attempt, now=now)
        if now >= claim.expires_at:
            return delivery.given_up(attempt, Status.EXPIRED, "window_closed")
        day = local_day(now, self.hospital.timezone)
        usable = addresses(claim.patient, claim.channel, day, claim.refused_addresses)
        if not usable:
            return delivery.given_up(attempt, Status.SUPPRESSED, "no_usable_address")
        try:
            message = self._word(claim, to=usable[0].value, now=now, deadline=time.monotonic() + seconds_left)
        except WordingError as error:
            log.warning("notification %s: %s", claim.notification_id, error)
            return delivery.given_up(attempt, Status.FAILED, "wording")
        choice = self.chooser.choose(claim)
        if choice is None:
            return delivery.no_provider(attempt, due_at=self.chooser.next_chance(claim.channel))
        attempt = replace(
            attempt,
            provider=choice.provider.name,
            trial=choice.trial,
            again=choice.again,
            left_alone_for=choice.left_alone_for,
        )
        begun = time.monotonic()
        outcome = self._hand_over(message, choice.provider, attempt)
        if outcome.verdict is not None:
            record_hand_over(
                claim.channel,
                claim.lane,
                choice.provider.name,
                waited_seconds=(now - claim.due_at).total_seconds(),
                call_seconds=time.monotonic() - begun,
            )
        return outcome

    def _hand_over(self, message: OutgoingMessage, provider: Provider, attempt: Attempt) -> Outcome:
        with span(
            "send", kind="client", channel=provider.channel, provider=provider.name, attempt=message.attempt
        ) as sending:
            outcome = self._handed_over(message, provider, attempt)
            sending.note(outcome=outcome.status, reason=outcome.reason, code=outcome.code)
            if outcome.status is not Status.SENT:
                sending.fail(outcome.reason or outcome.status)
        return outcome

    def _handed_over(self, message: OutgoingMessage, provider: Provider, attempt: Attempt) -> Outcome:
        try:
            return delivery.accepted(attempt, provider.send(message), to=message.to)
        except DeliveryError as error:
            now = self.clock()
            outcome = delivery.refused(attempt, error, to=message.to, now=now)
        if outcome.reason in _NOT_TAKEN and self.chooser.has_another(provider):
            return replace(outcome, due_at=now)
        return outcome

    def record(self, outcomes: Sequence[Outcome]) -> int:
        """Write outcomes; returns how many had lost their claim and were left as they stand."""
        with self.database.transaction() as transaction:
            recorded = results.record(transaction, outcomes, now=self.clock(), sealer=self.database.sealer)
            found = self.chooser.learn(transaction, outcomes)
        self.chooser.adopt(found)
        if len(recorded) < len(outcomes):
            log.warning("%d outcomes came after their lease had run out", len(outcomes) - len(recorded))
        return len(outcomes) - len(recorded)

    def _word(self, claim: Claim, *, to: str, now: datetime, deadline: float) -> OutgoingMessage:
        template = self._wordings.get(claim.template_version_id)
        if template is None:
            raise WordingError(f"template version {claim.template_version_id} is not stored")
        try:
            data = KINDS[claim.kind].data.model_validate(claim.data)
        except ValidationError as error:
            fields = ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}))
            raise WordingError(f"{template}: its data does not fit kind {claim.kind} ({fields})") from None
        if isinstance(data, ReminderData):
            data = data.ahead_of(now)
        wording = render(template, data, hospital=self.hospital)
        return OutgoingMessage(
            notification_id=claim.notification_id,
            attempt=claim.attempt,
            to=to,
            subject=wording.subject,
            text=wording.text,
            html=wording.html,
            language=template.language,
            deadline=deadline,
            expires_at=claim.expires_at,
            urgent=claim.lane is Lane.HIGH,
        )
