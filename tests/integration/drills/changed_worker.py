"""A worker as in production, but for what its test has switched off, and with less patience for those that are gone.

CHANGED_GRACE_SECONDS shortens the relay's grace, and a provider's breaker stays open for a second only;
CHANGED_WITHOUT takes `fencing` or `confirms` away.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from carenotify.domain.breaker import ONLY_PROVIDER_BREAKER, PROVIDER_BREAKER
from carenotify.errors import BrokerError
from carenotify.journeys import relay_due
from carenotify.messaging.envelope import Envelope
from carenotify.messaging.publisher import Publisher
from carenotify.storage import results
from carenotify.worker.__main__ import main

_FENCE = "AND n.claim_token = o.token"


def without_fencing() -> None:
    """Whoever comes last is believed, also when the claim is another's by now."""
    assert _FENCE in results.RECORD
    results.RECORD = results.RECORD.replace(_FENCE, "")


def without_confirms() -> None:
    """What was given to the broker counts as queued, whether it said so or not."""
    publish = Publisher.publish

    def hopeful(self: Publisher, envelopes: Sequence[Envelope]) -> set[UUID]:
        with suppress(BrokerError):
            publish(self, envelopes)
        return {envelope.notification_id for envelope in envelopes}

    Publisher.publish = hopeful  # type: ignore[method-assign]


_WITHOUT: dict[str, Callable[[], None]] = {"fencing": without_fencing, "confirms": without_confirms}

if __name__ == "__main__":
    for policy in (PROVIDER_BREAKER, ONLY_PROVIDER_BREAKER):
        object.__setattr__(policy, "open_for", timedelta(seconds=1))
    relay_due.GRACE = timedelta(seconds=float(os.environ["CHANGED_GRACE_SECONDS"]))
    if switched_off := os.environ.get("CHANGED_WITHOUT"):
        _WITHOUT[switched_off]()
    main()
