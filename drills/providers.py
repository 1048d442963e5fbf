"""Drills in which providers are down, refuse, lose their answers, or take longer than our lease."""

from __future__ import annotations

import time
from collections import Counter

from drills.private_server import DrillError
from drills.ward import CHANNELS, THREADS, Ward

_ERROR_SHARE = 0.3
_CUT_SHARE = 0.3
_UNTIL_SHARE = 0.7
_SLOW_UNTIL_SHARE = 0.4
_ON_ITS_WAY_SECONDS = 0.5


def provider_down(ward: Ward) -> None:
    """The SMS provider refuses everything for a while; mail goes on meanwhile."""
    ward.sandbox.set(latency_ms=100)
    ward.plan()
    ward.start()
    ward.wait_for_share(0.2)
    ward.sandbox.set(twilio_mode="down")
    ward.tell(f"the SMS provider is down for {ward.size.seconds:.0f} s")
    time.sleep(ward.size.seconds)
    ward.sandbox.set(twilio_mode="ok")
    ward.note_recovery("sms")
    ward.tell("texts go on")


def provider_errors(ward: Ward) -> None:
    """Both providers refuse a share of all calls for now, in every way they know, before they have taken anything."""
    ward.sandbox.set(latency_ms=20, provider_fail_share=_ERROR_SHARE)
    ward.plan()
    ward.start()
    ward.wait_for_share(_UNTIL_SHARE)
    ward.sandbox.set(provider_fail_share=0)
    ward.note_recovery()
    ward.tell("providers take everything again")


def answers_cut(ward: Ward) -> None:
    """Both providers take a message and cut the connection before they answer."""
    ward.sandbox.set(latency_ms=20, accept_then_cut_share=_CUT_SHARE)
    ward.plan()
    ward.start()
    ward.wait_for_share(_UNTIL_SHARE)
    ward.sandbox.set(accept_then_cut_share=0)
    ward.note_recovery()
    ward.tell("answers come through again")
    ward.wait_until_done()
    ward.taken_unrecorded.update(ward.sandbox.unanswered())


def slower_than_lease(ward: Ward) -> None:
    """Every call outlasts its lease; and a worker stands still until another has taken over, then goes on."""
    ward.sandbox.set(latency_ms=ward.size.call_seconds * 1000)
    ward.plan(publish=True)
    ward.workers.start(1)
    ward.wait_for(lambda: len(_claims(ward)) > CHANNELS * THREADS, "claims that wait for a thread")
    ward.workers.freeze(0)
    taken = _taken_in_the_end(ward)
    left = _claims(ward)
    never_sent = {identity for identity in left if not taken[identity]}
    if not never_sent:
        raise DrillError("the worker had begun to send everything that it had claimed")
    ward.taken_unrecorded.update(left.keys() - never_sent)
    ward.workers.start(1)
    ward.wait_for(lambda: bool(never_sent & _taken_over(ward, left)), "another takes over")
    ward.workers.thaw(0)
    ward.note_recovery()
    ward.tell(f"a worker stood still until another had taken over its {len(left)} claims; it goes on")
    ward.wait_for_share(_SLOW_UNTIL_SHARE)
    ward.sandbox.set(latency_ms=0)


def _taken_in_the_end(ward: Ward) -> Counter[str]:
    """What the provider has taken once the calls that were under way have reached it: nothing more comes in."""
    taken, before = ward.sandbox.counts(), None
    while taken != before:
        time.sleep(ward.size.call_seconds + _ON_ITS_WAY_SECONDS)
        taken, before = ward.sandbox.counts(), taken
    return taken


def _claims(ward: Ward) -> dict[str, str]:
    """What is being sent, with the token of its claim."""
    rows = ward.query("SELECT id, claim_token FROM notifications WHERE status = 'sending'")
    return {str(identity): str(token) for identity, token in rows}


def _taken_over(ward: Ward, left: dict[str, str]) -> set[str]:
    """What is claimed by another by now, or was sent already."""
    return {identity for identity, _ in _claims(ward).items() - left.items()} | set(ward.sandbox.counts())
