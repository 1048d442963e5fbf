from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify.domain.notification import Channel
from carenotify.domain.patient import ContactPoint, Patient, Preferences, addresses, channels_for

DAY = date(2026, 11, 24)
USES = ["mobile", "home", "temp", "work", "old", None]


def phone(value: str = "+4915112345678", **fields: object) -> ContactPoint:
    return ContactPoint("phone", value, **({"textable": True} | fields))  # type: ignore[arg-type]


def mail(value: str = "anna@example.org", **fields: object) -> ContactPoint:
    return ContactPoint("email", value, **fields)  # type: ignore[arg-type]


near_days = st.dates(DAY - timedelta(days=3), DAY + timedelta(days=3))
contact_points = st.builds(
    ContactPoint,
    system=st.sampled_from(["phone", "email", "fax", "url"]),
    value=st.integers(0, 99).map(str),
    use=st.sampled_from(USES),
    rank=st.none() | st.integers(1, 5),
    textable=st.booleans(),
    valid_from=st.none() | near_days,
    valid_until=st.none() | near_days,
)
people = st.builds(
    Patient,
    id=st.just("p"),
    given_name=st.none(),
    language=st.none(),
    contacts=st.tuples() | st.lists(contact_points, max_size=6).map(tuple),
)
channels = st.sampled_from(Channel)
preferences = st.builds(
    Preferences,
    channels=st.lists(channels, max_size=4).map(tuple),
    opted_out_channels=st.frozensets(channels),
)
defaults = st.lists(channels, min_size=1, max_size=4)


@given(people, channels, st.frozensets(st.integers(0, 99).map(str)))
def test_an_address_is_only_chosen_when_it_may_be_used_that_day(
    patient: Patient, channel: Channel, refused: frozenset[str]
) -> None:
    chosen = addresses(patient, channel, DAY, refused)
    for contact in chosen:
        assert contact in patient.contacts
        assert contact.value not in refused
        assert contact.use != "old"
        assert contact.valid_from is None or contact.valid_from <= DAY
        assert contact.valid_until is None or contact.valid_until >= DAY
        assert contact.system == ("email" if channel is Channel.EMAIL else "phone")
        assert channel is Channel.EMAIL or contact.textable


@given(people, channels)
def test_no_usable_address_is_left_out_and_a_better_rank_comes_first(patient: Patient, channel: Channel) -> None:
    chosen = addresses(patient, channel, DAY)
    left_out = [contact for contact in patient.contacts if contact not in chosen]
    assert not [contact for contact in left_out if contact.serves(channel) and contact.usable_on(DAY)]
    ranks = [contact.rank or 1_000 for contact in chosen]
    assert ranks == sorted(ranks)


def test_among_equal_ranks_the_most_personal_use_comes_first() -> None:
    contacts = tuple(phone(str(number), use=use) for number, use in enumerate(["work", None, "temp", "home", "mobile"]))
    chosen = addresses(Patient("p", None, None, contacts), Channel.SMS, DAY)
    assert [contact.use for contact in chosen] == ["mobile", "home", "temp", "work", None]


def test_a_rank_goes_before_a_use() -> None:
    contacts = (phone("1", use="mobile"), phone("2", use="work", rank=2), phone("3", use="home", rank=1))
    chosen = addresses(Patient("p", None, None, contacts), Channel.SMS, DAY)
    assert [contact.value for contact in chosen] == ["3", "2", "1"]


@pytest.mark.parametrize(
    ("contact", "usable"),
    [
        (phone(valid_from=DAY), True),
        (phone(valid_from=DAY + timedelta(days=1)), False),
        (phone(valid_until=DAY), True),
        (phone(valid_until=DAY - timedelta(days=1)), False),
        (phone(use="old"), False),
    ],
)
def test_a_period_includes_its_first_and_its_last_day(contact: ContactPoint, usable: bool) -> None:
    assert contact.usable_on(DAY) is usable


@pytest.mark.parametrize("has", [(), ("sms",), ("email",), ("sms", "email")])
@pytest.mark.parametrize("wants", [(), ("sms",), ("email",), ("email", "sms"), ("sms", "email")])
@pytest.mark.parametrize("default", [("sms",), ("email",), ("sms", "email")])
@pytest.mark.parametrize("refuses", [(), ("sms",), ("email",), ("sms", "email")])
def test_channels_follow_wish_then_default_then_what_there_is(
    has: tuple[str, ...], wants: tuple[str, ...], default: tuple[str, ...], refuses: tuple[str, ...]
) -> None:
    contacts = ((phone(),) if "sms" in has else ()) + ((mail(),) if "email" in has else ())
    wish = Preferences(
        channels=tuple(Channel(name) for name in wants),
        opted_out_channels=frozenset(Channel(name) for name in refuses),
    )
    chosen = channels_for(Patient("p", None, None, contacts), wish, [Channel(name) for name in default], DAY)
    possible = set(has) - set(refuses)
    wanted = [name for name in (wants or default) if name in possible]
    if wanted:
        assert list(chosen) == wanted
    else:
        assert set(chosen) <= possible
        assert len(chosen) == min(1, len(possible))


@given(people, preferences, defaults)
def test_channels_are_told_once_each_and_never_one_that_was_refused(
    patient: Patient, wish: Preferences, default: list[Channel]
) -> None:
    chosen = channels_for(patient, wish, default, DAY)
    assert len(set(chosen)) == len(chosen)
    assert not wish.opted_out_channels & set(chosen)
    assert all(addresses(patient, channel, DAY) for channel in chosen)


@given(people, preferences, defaults)
def test_nobody_who_can_be_reached_on_a_channel_that_was_not_refused_is_left_out(
    patient: Patient, wish: Preferences, default: list[Channel]
) -> None:
    possible = [
        channel for channel in Channel if channel not in wish.opted_out_channels and addresses(patient, channel, DAY)
    ]
    assert bool(channels_for(patient, wish, default, DAY)) == bool(possible)
