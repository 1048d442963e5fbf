"""Every drill: what is done, how large, and what may be said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from drills import brokers, kills, providers
from drills.ward import Size, Ward


@dataclass(frozen=True)
class Drill:
    """`refused_share`: of the messages, how many may end as dead letters since the provider has refused them."""

    play: Callable[[Ward], None]
    size: Size
    settings: Mapping[str, str] = field(default_factory=dict)
    broker: str = "rabbitmq"
    refused_share: float = 0.0

    @property
    def name(self) -> str:
        return self.play.__name__

    def scaled(self, scale: float) -> Drill:
        """The same drill, smaller, shorter and with fewer faults."""
        messages = max(100, round(self.size.messages * scale / 2) * 2)
        rounds = max(1, round(self.size.rounds * scale))
        return replace(
            self, size=replace(self.size, messages=messages, rounds=rounds, seconds=self.size.seconds * scale)
        )


# Whatever the broker has confirmed has to stay: the sweep for what a broker has lost must not come to its help.
_NO_SWEEP = {"CARENOTIFY_REQUEUE_AFTER_SECONDS": "86400"}

DRILLS: dict[str, Drill] = {
    drill.name: drill
    for drill in (
        Drill(kills.worker_killed, Size(8000, rounds=20), _NO_SWEEP),
        Drill(kills.broker_killed, Size(4000, rounds=5), _NO_SWEEP),
        Drill(kills.postgres_killed, Size(4000, rounds=5), _NO_SWEEP),
        Drill(kills.all_at_random, Size(8000, seconds=300), _NO_SWEEP),
        Drill(providers.provider_down, Size(2000, seconds=180)),
        Drill(providers.provider_errors, Size(3000), refused_share=0.01),
        Drill(providers.answers_cut, Size(1000), refused_share=0.01),
        Drill(providers.slower_than_lease, Size(200, call_seconds=6.0), {"CARENOTIFY_CLAIM_SECONDS": "2"}),
        Drill(brokers.disk_alarm, Size(2000, rounds=2), _NO_SWEEP),
        Drill(brokers.leader_lost, Size(3000, rounds=3), _NO_SWEEP, broker="rabbitmq-cluster"),
    )
}
