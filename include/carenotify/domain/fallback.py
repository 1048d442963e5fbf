"""What follows when a message did not reach its patient: another address, then another channel, or nothing.

A message is one of a family: all notifications that tell one patient the same thing, on every channel, with those that
took another's place. No address is tried twice in a family, and no channel that refused the message itself is used
again, so a chain of fallbacks ends when addresses do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from carenotify.domain.kinds import Kind
from carenotify.domain.notification import LIVING, Channel, Status
from carenotify.domain.patient import Patient, Preferences, addresses


class Mends(StrEnum):
    """What may still carry a message: another address (of the same channel first), or only another channel."""

    ADDRESS = "address"
    CHANNEL = "channel"


NO_RECEIPT = "no_receipt"
PROVIDER_DOWN = "provider_down"
TOLD_OTHERWISE = "told_otherwise"
# Providers that say afterwards what became of a message; of the others no receipt is missed.
GIVE_RECEIPTS = frozenset({"twilio", "ses"})
# Those that can be asked. Their callbacks may be what is lost, so silence counts once they have been asked.
ANSWER_WHEN_ASKED = frozenset({"twilio"})

# Reasons in which a message ends. What is not here nothing can mend: the patient died, is unknown, complained of the
# message (and so has it), or it cannot be opened.
MENDS: dict[str, Mends] = {
    "retries_spent": Mends.ADDRESS,
    "address_rejected": Mends.ADDRESS,
    "carrier": Mends.ADDRESS,
    "bounced": Mends.ADDRESS,
    "worker_lost": Mends.ADDRESS,
    NO_RECEIPT: Mends.ADDRESS,
    "message_rejected": Mends.CHANNEL,
    "returned_by_broker": Mends.CHANNEL,
    "wording": Mends.CHANNEL,
    PROVIDER_DOWN: Mends.CHANNEL,
    "no_usable_address": Mends.CHANNEL,
    # STOP belongs to a number, but whoever says so is not texted on another one at once.
    "opted_out": Mends.CHANNEL,
}

# Reasons that close a channel to what is told: the message itself is refused there, its reader has said STOP, or it may
# be what ends each worker that takes it. Whatever else failed there may be mended, as a provider that was down.
_CLOSING = frozenset({"message_rejected", "wording", "opted_out", "returned_by_broker"})


@dataclass(frozen=True, slots=True)
class Unreached:
    """A notification that did not reach its patient, as far as is known, for that reason.

    `waiting`: it is still to be sent, and its channel's providers are down. `stands`: what it tells is true, and to
    come. `known_address`: it is known where it went.
    """

    kind: Kind
    channel: Channel
    reason: str
    expires_at: datetime
    stands: bool
    waiting: bool = False
    known_address: bool = True


@dataclass(frozen=True, slots=True)
class Relative:
    """Another notification of the family."""

    channel: Channel
    status: Status
    reason: str | None


@dataclass(frozen=True, slots=True)
class Family:
    """Where the others of a family live, which channels refused the message itself, and the addresses tried."""

    living: frozenset[Channel] = frozenset()
    refusing: frozenset[Channel] = frozenset()
    tried: frozenset[str] = field(default=frozenset(), repr=False)

    @classmethod
    def of(cls, relatives: Iterable[Relative], tried: Collection[str]) -> Family:
        """The family that these make up."""
        relatives = list(relatives)
        living = [one.channel for one in relatives if one.status in LIVING]
        refusing = [one.channel for one in relatives if one.status not in LIVING and one.reason in _CLOSING]
        return cls(frozenset(living), frozenset(refusing), frozenset(tried))

    def also_tried(self, address: str) -> Family:
        """The family once that address has been tried as well."""
        return replace(self, tried=self.tried | {address})


@dataclass(frozen=True, slots=True)
class Ways:
    """How the patient can be told: what is known of them, and what the hospital and its providers allow for.

    `refused` addresses stand on the suppression list; on channels that are `down` no provider takes anything now, and
    on those that are not `served` nobody ever will.
    """

    patient: Patient
    preferences: Preferences
    default_channels: Sequence[Channel]
    day: date
    refused: frozenset[str] = field(default=frozenset(), repr=False)
    down: frozenset[Channel] = frozenset()
    served: frozenset[Channel] = frozenset(Channel)


def why_not(unreached: Unreached, now: datetime) -> str | None:
    """Why nothing can follow, whoever the patient is; None when something may."""
    if unreached.reason not in MENDS:
        return "not_mendable"
    if now >= unreached.expires_at:
        return "window_closed"
    return None if unreached.stands else "appointment_changed"


def assumed_address(unreached: Unreached, ways: Ways, family: Family) -> str | None:
    """The address that a message went to whose worker could not say so any more: the one it had to choose."""
    if unreached.known_address or MENDS[unreached.reason] is not Mends.ADDRESS:
        return None
    chosen = addresses(ways.patient, unreached.channel, ways.day, ways.refused | family.tried)
    return chosen[0].value if chosen else None


def decide(unreached: Unreached, ways: Ways, family: Family) -> Channel | str:
    """The channel on which another takes the place of a message that `why_not` had nothing against, or why none does.

    A second address of the same channel goes before another channel, and a channel that can send now before one that
    cannot. While another of the family lives, no other channel is used: the patient has the message there, or will.
    """
    if ways.patient.deceased:
        return "deceased"
    if ways.preferences.opted_out_kinds & {unreached.kind.name, "*"}:
        return "opted_out"
    candidates = _candidates(unreached, ways, family)
    allowed = [channel for channel in candidates if channel not in ways.preferences.opted_out_channels]
    able = sorted(allowed, key=lambda channel: channel in ways.down)
    if able and not (unreached.waiting and able[0] in ways.down):
        return able[0]
    return _why_nowhere(family, candidates, allowed)


def _candidates(unreached: Unreached, ways: Ways, family: Family) -> list[Channel]:
    """Channels with an address that was not tried, the same one first; opt-outs and outages are not looked at."""
    same = MENDS[unreached.reason] is Mends.ADDRESS and unreached.channel not in family.living | family.refusing
    channels = [unreached.channel] if same else []
    if not family.living and not unreached.kind.keeps_channel:
        wished = (*ways.preferences.channels, *ways.default_channels, *Channel)
        channels += [
            channel
            for channel in dict.fromkeys(wished)
            if channel in ways.served and channel not in {unreached.channel, *family.refusing}
        ]
    return [
        channel
        for channel in channels
        if channel in unreached.kind.channels
        and addresses(ways.patient, channel, ways.day, ways.refused | family.tried)
    ]


def _why_nowhere(family: Family, candidates: Sequence[Channel], allowed: Sequence[Channel]) -> str:
    if allowed:
        return "providers_down"
    if family.living:
        return TOLD_OTHERWISE
    return "opted_out" if candidates else "no_other_address"


def family_key(dedup_key: str) -> str:
    """What the keys of a family begin with: a key ends in channel and generation, `...:sms:1`, or `...:sms:1+2`."""
    return dedup_key.rsplit(":", 2)[0]


def had_its_turn(reason: str | None) -> bool:
    """Whether the last address of a message that stands so is done with: not when it was its channel that failed."""
    return MENDS.get(reason or "") is not Mends.CHANNEL


def successor_key(dedup_key: str) -> str:
    """The key of whatever takes a notification's place: one only, since keys are unique."""
    rest, _, generation = dedup_key.rpartition(":")
    generation, _, step = generation.partition("+")
    return f"{rest}:{generation}+{int(step or 0) + 1}"
