"""Faults come as often as asked for, in every kind, and the same way for a seed."""

from __future__ import annotations

import pytest

from carenotify.sandbox.faults import FHIR_FAULTS, PROVIDER_FAULTS, Faults


def test_faults_come_at_about_the_share_and_in_all_kinds() -> None:
    faults = Faults(seed=3, fail_share=0.1)
    drawn = [faults.for_fhir_call() for _ in range(20_000)]
    assert 0.09 < sum(kind is not None for kind in drawn) / len(drawn) < 0.11
    assert set(drawn) - {None} == set(FHIR_FAULTS)
    assert faults.counted["api_calls"] == 20_000
    assert faults.counted["api_failures"] == sum(kind is not None for kind in drawn)


def test_time_outs_are_few() -> None:
    assert FHIR_FAULTS["timeout"] / sum(FHIR_FAULTS.values()) == pytest.approx(0.03)


def test_the_same_seed_draws_the_same_faults() -> None:
    one, two = (Faults(seed=5, fail_share=0.3) for _ in range(2))
    assert [one.for_fhir_call() for _ in range(200)] == [two.for_fhir_call() for _ in range(200)]


@pytest.mark.parametrize("where", ["twilio", "mail"])
def test_providers_fail_at_their_share_and_never_after_accepting(where: str) -> None:
    faults = Faults(seed=3, provider_fail_share=0.05)
    drawn = [faults.for_provider_call(where) for _ in range(10_000)]
    assert set(drawn) - {None} == set(PROVIDER_FAULTS)
    assert 0.04 < sum(kind is not None for kind in drawn) / len(drawn) < 0.06


def test_a_share_of_nothing_never_fails() -> None:
    faults = Faults()
    assert {faults.for_fhir_call() for _ in range(500)} | {faults.for_page() for _ in range(500)} == {None}


def test_scripted_faults_come_first_and_in_order() -> None:
    faults = Faults()
    faults.script("fhir", "500", "ok", "cut")
    assert [faults.for_fhir_call() for _ in range(4)] == ["500", None, "cut", None]


def test_a_kind_that_does_not_exist_cannot_be_scripted() -> None:
    with pytest.raises(ValueError, match="for mail there are"):
        Faults().script("mail", "timeout")


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"fail_share": 2}, "fail_share"),
        ({"mode": "off"}, "mode"),
        ({"fail_shar": 0.1}, "fail_shar"),
        ({"seed": 1}, "seed"),
    ],
)
def test_wrong_settings_are_named_and_change_nothing(wanted: dict[str, object], named: str) -> None:
    faults = Faults()
    with pytest.raises(ValueError, match=named):
        faults.set({"latency_ms": 5} | wanted)
    assert faults.latency_ms == 0
