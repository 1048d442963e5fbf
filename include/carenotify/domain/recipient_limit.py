"""How many messages one person gets in an hour: what another system asks for a thousand times reaches nobody so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from carenotify.domain.kinds import KINDS

HOUR = timedelta(hours=1)
# What finds the hour full is looked at again after so long; its window closes as ever.
LATER = timedelta(minutes=15)
URGENT_KINDS = tuple(sorted(kind.name for kind in KINDS.values() if kind.urgent))


@dataclass(frozen=True, slots=True)
class RecipientLimit:
    """`messages` in any hour for one person, None without a limit. `spared_kinds` go out all the same, and count."""

    messages: int | None
    spared_kinds: tuple[str, ...]
