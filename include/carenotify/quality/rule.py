"""A data-quality rule: an expectation with a name that stays the same in quarantine, reports and docs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from great_expectations.expectations.expectation import Expectation


@dataclass(frozen=True, slots=True)
class Rule:
    """`build` makes the expectation, given the name to carry in its meta."""

    name: str
    expectation: Callable[..., Expectation]
    arguments: dict[str, Any]

    def build(self) -> Expectation:
        """The expectation, which carries the rule's name."""
        return self.expectation(**self.arguments, meta={"rule": self.name})
