"""What a hard case is: a name, a share, and how it is written into the hospital."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from carenotify.sandbox.ward import Ward


@dataclass(frozen=True, slots=True)
class Case:
    """`share` is how many such cases there are for each row of the reminder day; there is always one at least."""

    name: str
    share: float
    write: Callable[[Ward], None]


def reachable(ward: Ward) -> str:
    """A patient with a mobile number and a mailbox."""
    return ward.admit(ward.registry.mobile(), ward.registry.email())
