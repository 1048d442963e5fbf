"""What takes the place of each notification that did not reach its patient."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import uuid6

from carenotify.config import Settings
from carenotify.domain.fallback import (
    Family,
    Relative,
    Unreached,
    Ways,
    assumed_address,
    decide,
    successor_key,
    why_not,
)
from carenotify.domain.kinds import KINDS
from carenotify.domain.notification import Channel, Status
from carenotify.domain.window import local_day
from carenotify.errors import WordingError
from carenotify.journeys.choose_wording import Wordings
from carenotify.storage.database import Transaction
from carenotify.storage.fallbacks import NewFallback
from carenotify.storage.kin import Kin
from carenotify.storage.patients import suppressed_addresses
from carenotify.storage.recipients import Recipient, open_recipient
from carenotify.storage.sealed import Sealer
from carenotify.storage.unreached import FollowUp

log = logging.getLogger(__name__)


@dataclass(slots=True)
class FallbackChooser:
    """Chooses for one batch, one after the other, inside the transaction that holds it.

    `down` are the channels whose providers are all down. `opened`: some patient's record could be read.
    """

    transaction: Transaction
    sealer: Sealer
    settings: Settings
    now: datetime
    down: frozenset[Channel]
    opened: bool = False
    _chosen: dict[UUID, Channel] = field(default_factory=dict)
    _wordings: dict[str, Wordings] = field(default_factory=dict)

    def choose(self, one: FollowUp, kin: Sequence[Kin]) -> NewFallback | str:
        """The row that follows, or the reason why none does. People are looked at only where something can follow."""
        if one.kind not in KINDS:
            return "kind_unknown"
        if successor_key(one.dedup_key) in {other.dedup_key for other in kin}:
            return "followed_before"  # it was replayed since
        unreached = _unreached(one)
        reason = why_not(unreached, self.now)
        if reason is not None:
            return reason
        recipient = open_recipient(one.recipient, self.sealer)
        if recipient is None:
            return "patient_unknown"
        if recipient.unreadable:
            return "unreadable"
        self.opened = True
        return self._choose_for(recipient, one, unreached, kin)

    def _choose_for(
        self, recipient: Recipient, one: FollowUp, unreached: Unreached, kin: Sequence[Kin]
    ) -> NewFallback | str:
        tried = one.tried.union(*(other.tried for other in kin))
        relatives = [other.relative for other in kin]
        # What the batch chose for a relative is on its way, although it is not stored yet.
        relatives += [
            Relative(self._chosen[other.id], Status.PENDING, None) for other in kin if other.id in self._chosen
        ]
        family = Family.of(relatives, suppressed_addresses(recipient.patient, tuple(tried), self.sealer))
        ways = self._ways(recipient)
        assumed = assumed_address(unreached, ways, family)
        if assumed is not None:
            tried |= {self.sealer.index(assumed)}
            family = family.also_tried(assumed)
        decided = decide(unreached, ways, family)
        return self._row(one, recipient, decided, tried) if isinstance(decided, Channel) else decided

    def _ways(self, recipient: Recipient) -> Ways:
        return Ways(
            patient=recipient.patient,
            preferences=recipient.preferences,
            default_channels=self.settings.default_channels,
            day=local_day(self.now, self.settings.timezone),
            refused=recipient.refused_addresses,
            down=self.down,
            served=frozenset(channel for channel in Channel if self.settings.serves(channel)),
        )

    def _row(self, one: FollowUp, recipient: Recipient, channel: Channel, tried: frozenset[bytes]) -> NewFallback | str:
        languages = (recipient.preferences.language, recipient.patient.language)
        try:
            template_version_id = self._wordings_of(one.kind).choose(channel, *languages)
        except WordingError as error:
            log.error("notification %s has no fallback: %s", one.id, error)  # noqa: TRY400 - it says all there is
            return "wording"
        self._chosen[one.id] = channel
        return NewFallback(uuid6.uuid7(), one.id, successor_key(one.dedup_key), channel, template_version_id, tried)

    def _wordings_of(self, kind: str) -> Wordings:
        if kind not in self._wordings:
            self._wordings[kind] = Wordings.of(
                self.transaction, KINDS[kind], default_language=self.settings.default_language
            )
        return self._wordings[kind]


def _unreached(one: FollowUp) -> Unreached:
    return Unreached(
        kind=KINDS[one.kind],
        channel=one.channel,
        reason=one.reason,
        expires_at=one.expires_at,
        stands=one.stands,
        waiting=one.waiting,
        known_address=one.known_address,
    )
