"""What goes wrong in the outside world: how often, of which kind, and what was counted.

Faults are drawn from a seeded generator, call by call. A test can put its own in front with `script`.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, fields
from random import Random
from typing import Any, Literal, get_args, get_type_hints

Mode = Literal["ok", "down", "html", "other-shape", "endless-pages"]
ProviderMode = Literal["ok", "down"]
ReceiptsMode = Literal["on", "off"]

# Kinds of failing FHIR calls and their weights. A time-out holds a caller for seconds, so it is rare.
FHIR_FAULTS: dict[str, float] = {
    "500": 17,
    "502-html": 12,
    "503-retry-after": 15,
    "429-retry-after": 12,
    "timeout": 3,
    "cut": 13,
    "truncated-json": 12,
    "other-shape": 6,
    "operation-outcome": 10,
}

# Answers that look right and are not. They do not count as failures.
PAGE_QUIRKS = ("duplicate-entries", "missing-entry")
_QUIRKS_PER_FAILURE = 0.2

# What a provider does before it has accepted anything, so that another try makes no duplicate.
PROVIDER_FAULTS = ("429", "500", "503", "cut")


@dataclass(slots=True)
class Faults:
    """Shares are between 0 and 1 and may be changed while the sandbox runs.

    `accept_then_cut_share` makes duplicates on purpose: the provider takes the message and the answer is lost.
    `dead_share` of all addresses take nothing, whenever they are tried; of dead numbers, every other one is accepted
    first and reported as undelivered later. `latency_ms` passes before a provider takes a message, `answer_delay_ms`
    between that and its answer.
    """

    seed: int = 0
    fail_share: float = 0.0
    provider_fail_share: float = 0.0
    accept_then_cut_share: float = 0.0
    dead_share: float = 0.0
    latency_ms: float = 0.0
    answer_delay_ms: float = 0.0
    hang_seconds: float = 8.0
    retry_after_seconds: int = 1
    mode: Mode = "ok"
    twilio_mode: ProviderMode = "ok"
    mail_mode: ProviderMode = "ok"
    receipts_mode: ReceiptsMode = "on"
    counted: Counter[str] = field(default_factory=Counter)
    _scripted: dict[str, deque[str]] = field(default_factory=dict)
    _dice: dict[str, Random] = field(default_factory=dict)

    def script(self, where: str, *kinds: str) -> None:
        """The next calls to `fhir`, `twilio` or `mail`, or FHIR's next `page`s, get these kinds, one each.

        `ok` lets one through. Raises ValueError for a kind that is not known there.
        """
        known = {"ok", *{"fhir": FHIR_FAULTS, "page": PAGE_QUIRKS}.get(where, (*PROVIDER_FAULTS, "accept-then-cut"))}
        if not known.issuperset(kinds):
            raise ValueError(f"for {where} there are {', '.join(sorted(known))}")
        self._scripted.setdefault(where, deque()).extend(kinds)

    def set(self, wanted: dict[str, Any]) -> None:
        """Change several at once, by field name. Raises ValueError naming what is unknown or out of its bounds."""
        for name, value in wanted.items():
            _check(name, value)
        for name, value in wanted.items():
            setattr(self, name, value)

    def settable(self) -> dict[str, Any]:
        """Everything that `set` takes, as it stands."""
        return {name: getattr(self, name) for name in sorted(_SETTABLE)}

    def for_fhir_call(self) -> str | None:
        """Kind of failure of this call, counted, or None."""
        self.counted["api_calls"] += 1
        kind = self._next_scripted("fhir")
        if kind is None:
            kind = self._standing() or self._drawn("fhir", self.fail_share, FHIR_FAULTS)
        if kind in (None, "ok"):
            return None
        if kind in FHIR_FAULTS or kind == "html":
            self.counted["api_failures"] += 1
        self.counted[f"fhir:{kind}"] += 1
        return kind

    def for_page(self) -> str | None:
        """Quirk of a page that is otherwise answered, or None."""
        kind = self._next_scripted("page")
        if kind is not None:
            return kind
        return self._drawn("page", self.fail_share * _QUIRKS_PER_FAILURE, dict.fromkeys(PAGE_QUIRKS, 1.0))

    def for_provider_call(self, where: str) -> str | None:
        """One of PROVIDER_FAULTS, `accept-then-cut` or None, for `twilio` or `mail`."""
        kind = self._next_scripted(where)
        if kind is None:
            kind = self._provider_kind(where)
        if kind in (None, "ok"):
            return None
        self.counted[f"{where}:{kind}"] += 1
        return kind

    def is_dead(self, address: str) -> bool:
        """Whether an address takes nothing; the same answer each time, for a seed and a share."""
        return self.dead_share > 0 and self._fate(address).random() < self.dead_share

    def dies_late(self, address: str) -> bool:
        """Whether a dead address is found out only after the message was accepted."""
        dice = self._fate(address)
        dice.random()
        return dice.random() < 0.5

    def _fate(self, address: str) -> Random:
        return Random(f"{self.seed} {address}")  # noqa: S311 - made to be repeatable

    def _provider_kind(self, where: str) -> str | None:
        if (self.twilio_mode if where == "twilio" else self.mail_mode) == "down":
            return "503"
        kind = self._drawn(where, self.provider_fail_share, dict.fromkeys(PROVIDER_FAULTS, 1.0))
        return kind or self._drawn(where, self.accept_then_cut_share, {"accept-then-cut": 1.0})

    def _standing(self) -> str | None:
        return {"down": "503-retry-after", "html": "html", "other-shape": "other-shape"}.get(self.mode)

    def _next_scripted(self, where: str) -> str | None:
        waiting = self._scripted.get(where)
        return waiting.popleft() if waiting else None

    def _drawn(self, where: str, share: float, weights: dict[str, float]) -> str | None:
        if where not in self._dice:
            self._dice[where] = Random(f"{self.seed} {where}")  # noqa: S311 - made to be repeatable
        dice = self._dice[where]
        return dice.choices(tuple(weights), weights=tuple(weights.values()))[0] if dice.random() < share else None


_SETTABLE = {item.name for item in fields(Faults)} - {"seed", "counted", "_scripted", "_dice"}


def _check(name: str, value: object) -> None:
    if name not in _SETTABLE:
        raise ValueError(f"{name} is not a fault; known are {', '.join(sorted(_SETTABLE))}")
    if name.endswith("mode"):
        allowed = get_args(get_type_hints(Faults)[name])
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}")
    elif not isinstance(value, int | float) or value < 0 or (name.endswith("share") and value > 1):
        raise ValueError(f"{name} must be a number from 0" + (" to 1" if name.endswith("share") else ""))
