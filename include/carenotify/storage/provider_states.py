"""How each provider stands, shared by all workers.

The rules are domain/breaker.py's; here they are applied under the lock of the provider's row, so that no worker undoes
what another has found. "In a row" means: in the order in which groups of results are committed, and within a group in
the order in which they came. A group in which everything went well locks nothing while the provider is closed and has
no failures counted: that is the usual case, and costs one look at a tiny table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any

from carenotify.domain.breaker import PROVIDER_BREAKER, Breaker, BreakerPolicy, BreakerState, CallResult, Verdict
from carenotify.storage.database import Transaction

_COLUMNS = "provider, state, failures, successes, retry_at, changed_at, last_code"
_READ = f"SELECT {_COLUMNS} FROM provider_states"
_LOCK_WHAT_MAY_CHANGE = f"""
SELECT {_COLUMNS} FROM provider_states
WHERE provider = ANY(%(providers)s) AND (provider = ANY(%(failing)s) OR state <> 'closed' OR failures > 0)
ORDER BY provider
FOR UPDATE
"""
_LOCK_UNLESS_TAKEN = f"SELECT {_COLUMNS} FROM provider_states WHERE provider = %s FOR UPDATE SKIP LOCKED"
_INTRODUCE = """
INSERT INTO provider_states (provider, state, changed_at)
SELECT unnest(%(providers)s::text[]), 'closed', %(now)s
ON CONFLICT DO NOTHING
"""
_WRITE = """
UPDATE provider_states
SET state = %(state)s, failures = %(failures)s, successes = %(successes)s, retry_at = %(retry_at)s,
    changed_at = COALESCE(%(changed_at)s, changed_at), last_code = %(last_code)s
WHERE provider = %(provider)s
"""
_RETRY_NOW = "UPDATE provider_states SET retry_at = %(now)s WHERE provider = %(provider)s AND state = 'open'"
_GIVE_BACK = """
UPDATE provider_states SET retry_at = %(now)s
WHERE provider = %(provider)s AND state = 'half_open' AND retry_at = %(lease)s
"""


def read(transaction: Transaction) -> dict[str, Breaker]:
    """Every provider that has ever failed; one that is not here is closed."""
    return _breakers(transaction.execute(_READ))


def fold(
    transaction: Transaction,
    calls: Mapping[str, Sequence[CallResult]],
    *,
    now: datetime,
    policy_of: Callable[[str], BreakerPolicy] = lambda _: PROVIDER_BREAKER,
) -> dict[str, Breaker]:
    """Count the results of calls, by provider and in their order; returns how those stand that may have changed.

    `policy_of` gives a provider's policy. To be called last in a transaction: the rows stay locked until it commits.
    """
    failing = sorted(name for name, of in calls.items() if any(call.verdict is not Verdict.WELL for call in of))
    parameters = {"providers": sorted(calls), "failing": failing, "now": now}
    before = _breakers(transaction.execute(_LOCK_WHAT_MAY_CHANGE, parameters))
    if not before.keys() >= set(failing):
        transaction.execute(_INTRODUCE, parameters | {"providers": failing})
        before = _breakers(transaction.execute(_LOCK_WHAT_MAY_CHANGE, parameters))
    after = {
        name: _after_all(breaker, calls[name], now=now, policy=policy_of(name)) for name, breaker in before.items()
    }
    for name, breaker in after.items():
        if breaker != before[name]:
            _write(transaction, name, breaker)
    return after


def _after_all(breaker: Breaker, calls: Iterable[CallResult], *, now: datetime, policy: BreakerPolicy) -> Breaker:
    return reduce(lambda stands, call: stands.after(call, now=now, policy=policy), calls, breaker)


def take_trial(
    transaction: Transaction, provider: str, *, now: datetime, policy: BreakerPolicy = PROVIDER_BREAKER
) -> Breaker | None:
    """Take the one trial of a provider that is due for it, until its `retry_at`; None when it is not or is taken."""
    found = _breakers(transaction.execute(_LOCK_UNLESS_TAKEN, (provider,)))
    trial = found[provider].trial(now=now, policy=policy) if provider in found else None
    if trial is not None:
        _write(transaction, provider, trial)
    return trial


def retry_now(transaction: Transaction, provider: str, *, now: datetime) -> bool:
    """An open provider's trial is due at once; False when it is not open."""
    return transaction.execute(_RETRY_NOW, {"provider": provider, "now": now}).rowcount > 0


def give_back_trial(transaction: Transaction, provider: str, *, lease: datetime, now: datetime) -> None:
    """A trial that there was no message for is somebody else's at once."""
    transaction.execute(_GIVE_BACK, {"provider": provider, "lease": lease, "now": now})


def _breakers(rows: Iterable[tuple[Any, ...]]) -> dict[str, Breaker]:
    return {name: Breaker(BreakerState(state), *others) for name, state, *others in rows}


def _write(transaction: Transaction, provider: str, breaker: Breaker) -> None:
    parameters = {
        "provider": provider,
        "state": breaker.state.value,
        "failures": breaker.failures,
        "successes": breaker.successes,
        "retry_at": breaker.retry_at,
        "changed_at": breaker.changed_at,
        "last_code": breaker.last_code,
    }
    transaction.execute(_WRITE, parameters)
