"""Where a message goes next: rules by table, and chains of any length by Hypothesis."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify.channels.email.ses import SesProvider
from carenotify.channels.sms.twilio import TwilioProvider
from carenotify.domain.fallback import (
    ANSWER_WHEN_ASKED,
    GIVE_RECEIPTS,
    MENDS,
    NO_RECEIPT,
    Family,
    Mends,
    Relative,
    Unreached,
    Ways,
    assumed_address,
    decide,
    family_key,
    successor_key,
    why_not,
)
from carenotify.domain.kinds import MESSAGE, REMINDER
from carenotify.domain.notification import Channel, Status
from carenotify.domain.patient import ContactPoint, Patient, Preferences, addresses

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
TODAY = date(2026, 11, 24)
FIRST, SECOND, MAIL = "+4915112345678", "+4915112345679", "anna@example.org"
SMS, EMAIL = Channel.SMS, Channel.EMAIL
BOTH = (SMS, EMAIL)


def phone(number: str, rank: int | None = None) -> ContactPoint:
    return ContactPoint("phone", number, use="mobile", rank=rank, textable=True)


TWO_NUMBERS_AND_MAIL = (phone(FIRST, 1), phone(SECOND, 2), ContactPoint("email", MAIL))


def unreached(reason: str = "address_rejected", channel: Channel = SMS, **others: object) -> Unreached:
    fields = {"kind": REMINDER, "expires_at": NOW + timedelta(hours=2), "stands": True} | others
    return Unreached(channel=channel, reason=reason, **fields)  # type: ignore[arg-type]


def ways(contacts: Collection[ContactPoint] = TWO_NUMBERS_AND_MAIL, **others: object) -> Ways:
    patient = Patient("anna", "Anna", "en", tuple(contacts), deceased=bool(others.pop("deceased", False)))
    fields = {"preferences": Preferences(), "default_channels": BOTH, "day": TODAY} | others
    return Ways(patient=patient, **fields)  # type: ignore[arg-type]


def family(*relatives: Relative, tried: Collection[str] = (FIRST,)) -> Family:
    return Family.of(relatives, tried)


def alive(channel: Channel, status: Status = Status.SENT) -> Relative:
    return Relative(channel, status, None)


# --- by table ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", MENDS)
def test_each_reason_leads_to_the_next_address_or_straight_to_the_other_channel(reason: str) -> None:
    follows = decide(unreached(reason), ways(), family())
    assert follows == (SMS if MENDS[reason] is Mends.ADDRESS else EMAIL)


@pytest.mark.parametrize(
    ("tried", "follows"),
    [((FIRST,), SMS), ((FIRST, SECOND), EMAIL), ((FIRST, SECOND, MAIL), "no_other_address")],
)
def test_the_second_number_comes_before_mail_and_then_nothing(tried: Collection[str], follows: str) -> None:
    assert decide(unreached(), ways(), family(tried=tried)) == follows


@pytest.mark.parametrize(
    ("others", "relatives", "follows"),
    [
        # people
        ({"deceased": True}, (), "deceased"),
        ({"preferences": Preferences(opted_out_kinds=frozenset({"reminder"}))}, (), "opted_out"),
        ({"preferences": Preferences(opted_out_kinds=frozenset({"*"}))}, (), "opted_out"),
        ({"preferences": Preferences(opted_out_channels=frozenset({EMAIL}))}, (), "opted_out"),
        ({"preferences": Preferences(channels=(SMS,))}, (), EMAIL),  # order allows what opting out forbids
        ({"refused": frozenset({MAIL})}, (), "no_other_address"),
        # the family
        ({}, (alive(EMAIL),), "told_otherwise"),
        ({}, (alive(EMAIL, Status.DELIVERED),), "told_otherwise"),
        ({}, (alive(EMAIL, Status.PENDING),), "told_otherwise"),
        ({}, (alive(EMAIL, Status.SENDING),), "told_otherwise"),
        ({}, (alive(EMAIL, Status.SUPERSEDED),), EMAIL),
        ({}, (Relative(EMAIL, Status.FAILED, "retries_spent"),), EMAIL),
        ({}, (Relative(EMAIL, Status.FAILED, "message_rejected"),), "no_other_address"),
        ({}, (Relative(EMAIL, Status.UNSUBSCRIBED, "opted_out"),), "no_other_address"),
        ({}, (Relative(EMAIL, Status.FAILED, "wording"),), "no_other_address"),
        ({}, (Relative(EMAIL, Status.FAILED, "returned_by_broker"),), "no_other_address"),
        ({}, (Relative(EMAIL, Status.FAILED, "provider_down"),), EMAIL),  # it may be back
        ({}, (Relative(EMAIL, Status.SUPPRESSED, "no_usable_address"),), EMAIL),  # one may have been entered since
        # providers
        ({"served": frozenset({SMS})}, (), "no_other_address"),
        ({"down": frozenset({EMAIL})}, (), EMAIL),  # it waits there
    ],
)
def test_what_stands_in_the_way_of_the_other_channel(
    others: dict[str, object], relatives: tuple[Relative, ...], follows: str
) -> None:
    one_number = (phone(FIRST), ContactPoint("email", MAIL))
    assert decide(unreached(), ways(one_number, **others), family(*relatives)) == follows


def test_a_second_number_is_tried_although_the_mail_arrived_since_both_were_wanted() -> None:
    assert decide(unreached(), ways(), family(alive(EMAIL))) == SMS


def test_a_number_is_not_tried_beside_another_that_is_under_way() -> None:
    assert decide(unreached(), ways(), family(alive(SMS, Status.QUEUED))) == "told_otherwise"


def test_a_channel_that_can_send_now_goes_before_a_second_number_that_has_to_wait() -> None:
    assert decide(unreached(), ways(down=frozenset({SMS})), family()) == EMAIL


def test_what_waits_for_a_provider_does_not_go_to_another_that_is_down_too() -> None:
    waiting = unreached("provider_down", waiting=True)
    assert decide(waiting, ways(down=frozenset({SMS})), family(tried=())) == EMAIL
    assert decide(waiting, ways(down=frozenset(BOTH)), family(tried=())) == "providers_down"


def test_what_another_system_words_keeps_to_the_channel_that_was_asked_for() -> None:
    assert decide(unreached("message_rejected", kind=MESSAGE), ways(), family()) == "no_other_address"
    assert decide(unreached("provider_down", kind=MESSAGE, waiting=True), ways(), family()) == "no_other_address"
    assert decide(unreached(kind=MESSAGE), ways(), family()) == SMS


def test_a_kind_keeps_to_its_channels() -> None:
    from dataclasses import replace

    only_sms = replace(REMINDER, channels=(SMS,))
    assert decide(unreached("message_rejected", kind=only_sms), ways(), family()) == "no_other_address"


@pytest.mark.parametrize(
    ("reason", "others", "why"),
    [
        ("address_rejected", {}, None),
        ("address_rejected", {"kind": MESSAGE}, None),
        ("address_rejected", {"expires_at": NOW}, "window_closed"),
        ("address_rejected", {"stands": False}, "appointment_changed"),
        ("complaint", {}, "not_mendable"),
        ("deceased", {}, "not_mendable"),
        ("unreadable", {}, "not_mendable"),
        ("", {}, "not_mendable"),
    ],
)
def test_why_nothing_can_follow_whoever_the_patient_is(reason: str, others: dict[str, object], why: str | None) -> None:
    assert why_not(unreached(reason, **others), NOW) == why


def test_where_a_lost_worker_sent_it_is_assumed_and_not_tried_again() -> None:
    lost = unreached("worker_lost", known_address=False)
    assert assumed_address(lost, ways(), family(tried=())) == FIRST
    assert assumed_address(lost, ways(), family(tried=(FIRST,))) == SECOND
    assert assumed_address(lost, ways(()), family(tried=())) is None
    assert assumed_address(unreached("worker_lost"), ways(), family(tried=())) is None
    assert assumed_address(unreached("provider_down", known_address=False), ways(), family(tried=())) is None


def test_only_providers_that_give_receipts_are_missed_one_of() -> None:
    assert {TwilioProvider.name, SesProvider.name} == GIVE_RECEIPTS
    assert {one.name for one in (TwilioProvider, SesProvider) if one.looks_up} == ANSWER_WHEN_ASKED


# --- keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "of_family", "next_key"),
    [
        ("reminder:anna:2026-11-27:sms:1", "reminder:anna:2026-11-27", "reminder:anna:2026-11-27:sms:1+1"),
        ("reminder:anna:2026-11-27:sms:1+1", "reminder:anna:2026-11-27", "reminder:anna:2026-11-27:sms:1+2"),
        ("reminder:a+b:c:2026-11-27:sms:12+9", "reminder:a+b:c:2026-11-27", "reminder:a+b:c:2026-11-27:sms:12+10"),
        ("message:0f3a:email:1", "message:0f3a", "message:0f3a:email:1+1"),
    ],
)
def test_a_fallback_has_a_key_of_its_own_in_the_same_family(key: str, of_family: str, next_key: str) -> None:
    assert (family_key(key), successor_key(key)) == (of_family, next_key)
    assert family_key(next_key) == of_family


# --- chains ------------------------------------------------------------------------------------

numbers = st.integers(0, 5).map(lambda number: f"+49151000000{number}")
mails = st.integers(0, 3).map(lambda number: f"p{number}@example.org")
contacts = st.lists(
    st.one_of(
        st.builds(phone, numbers, st.one_of(st.none(), st.integers(1, 3))),
        st.builds(ContactPoint, st.just("email"), mails, rank=st.one_of(st.none(), st.integers(1, 3))),
    ),
    max_size=7,
)
channel_sets = st.frozensets(st.sampled_from(Channel), max_size=2)
wishes = st.builds(
    Preferences,
    channels=st.lists(st.sampled_from(Channel), max_size=2, unique=True).map(tuple),
    opted_out_channels=channel_sets,
)


@st.composite
def worlds(draw: st.DrawFn) -> Ways:
    known = draw(contacts)
    refused = draw(st.sets(st.sampled_from([contact.value for contact in known]))) if known else set()
    return ways(known, preferences=draw(wishes), refused=frozenset(refused), down=draw(channel_sets))


@given(
    world=worlds(),
    planned=st.sets(st.sampled_from(Channel), min_size=1),
    reasons=st.lists(st.sampled_from(sorted(MENDS.keys() - {NO_RECEIPT})), min_size=30, max_size=30),
    arrives=st.sets(st.integers(0, 12)),
)
def test_whatever_fails_no_address_is_tried_twice_none_that_is_forbidden_and_it_ends(
    world: Ways, planned: set[Channel], reasons: list[str], arrives: set[int]
) -> None:
    """A patient's messages are sent one after the other, each to what the worker would choose, and followed up."""
    open_channels = planned - world.preferences.opted_out_channels
    under_way = [(channel, world.refused) for channel in sorted(open_channels)]
    over: list[Relative] = []
    sent: list[tuple[Channel, str]] = []
    for turn, reason in enumerate(reasons):
        if not under_way:
            break
        channel, excluded = under_way.pop(0)
        usable = addresses(world.patient, channel, TODAY, excluded)
        held_up = reason == "provider_down" and channel in world.down
        if usable and not held_up and reason not in {"no_usable_address", "wording"}:
            sent.append((channel, usable[0].value))
        if turn in arrives:
            over.append(Relative(channel, Status.DELIVERED, None))
            continue
        waiting = [Relative(each, Status.PENDING, None) for each, _ in under_way]
        others = Family.of([*over, *waiting], {address for _, address in sent})
        down = reason == "provider_down" and channel in world.down
        why = "no_usable_address" if not usable else reason if down or reason != "provider_down" else "retries_spent"
        follows = decide(unreached(why, channel, waiting=down), world, others)
        over.append(Relative(channel, Status.FAILED, why))
        if isinstance(follows, Channel):
            assert follows not in world.preferences.opted_out_channels
            assert addresses(world.patient, follows, TODAY, world.refused | others.tried), "nowhere to send it to"
            assert follows not in others.living, "two at once on one channel"
            under_way.append((follows, world.refused | others.tried))
    assert not under_way, "it does not end"
    assert len({address for _, address in sent}) == len(sent), "one address, tried twice"
    assert not {address for _, address in sent} & world.refused
    for index, one in enumerate(over):
        if one.reason in {"message_rejected", "wording", "opted_out", "returned_by_broker"}:
            later = {other.channel for other in over[index + 1 :]}
            assert one.channel not in later, "a channel that refused the message was used again"
    assert not {channel for channel, _ in sent} & world.preferences.opted_out_channels
