"""`make alarms`: failures of each kind in the running demo, until staff were told of each: by mail, metric and page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from stack.alarm_scenes import PHASES, Alarm, Scene
from stack.checkout import Checkout
from stack.errors import StackError
from stack.progress import say
from stack.system import System

_PATIENCE_SECONDS = 300.0
# Watching begins anew every two minutes, and what lasts has to last for a while before it is told.
_EVERY_SECONDS = 3.0


@dataclass
class Seen:
    """When a failure was first seen where, in seconds after it had begun."""

    kind: str
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether it was seen everywhere."""
        return self.seconds.keys() == _PLACES.keys()


_PLACES: dict[str, Callable[[Scene, Alarm], bool]] = {
    "mail": lambda scene, alarm: scene.is_mailed(alarm),
    "metric": lambda scene, alarm: scene.is_measured(alarm),
    "page": lambda scene, alarm: scene.is_on_page(alarm),
}


def alarms(checkout: Checkout, kinds: Sequence[str]) -> int:
    """Play all of them, or some by their kind; write the report; return 0 when staff were told of each in time."""
    system = System(checkout, demo=True)
    if not system.processes.is_running("sandbox"):
        raise StackError("The demo does not run: start it with make demo.")
    known = [alarm.kind for phase in PHASES for alarm in phase]
    if unknown := set(kinds) - set(known):
        raise StackError(f"There is no alarm {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    seen: list[Seen] = []
    for phase in PHASES:
        chosen = [alarm for alarm in phase if not kinds or alarm.kind in kinds]
        seen += _play(system, chosen) if chosen else []
    file = checkout.run / "alarm-report.json"
    file.write_text(json.dumps([{"kind": one.kind, **one.seconds} for one in seen], indent=1) + "\n")
    _show(seen)
    return 0 if all(one.whole for one in seen) else 1


def _play(system: System, chosen: Iterable[Alarm]) -> list[Seen]:
    """Let failures begin together, wait until all are told, and mend them again, whatever happens."""
    found = []
    with ExitStack() as mending:
        scene = Scene(system)
        for alarm in chosen:
            say(f"  …  {alarm.kind}: {alarm.what}")
            mending.callback(alarm.end, scene)
            found.append((alarm, Seen(alarm.kind), time.monotonic()))
            alarm.begin(scene)
        until = time.monotonic() + _PATIENCE_SECONDS + max(alarm.lasts_seconds for alarm, _, _ in found)
        while time.monotonic() < until and not all(seen.whole for _, seen, _ in found):
            for alarm, seen, began in found:
                _look(scene, alarm, seen, began)
            time.sleep(_EVERY_SECONDS)
    return [seen for _, seen, _ in found]


def _look(scene: Scene, alarm: Alarm, seen: Seen, began: float) -> None:
    for place, is_there in _PLACES.items():
        if place not in seen.seconds and is_there(scene, alarm):
            seen.seconds[place] = round(time.monotonic() - began, 1)
            say(f"       {alarm.kind}: in the {place} after {seen.seconds[place]:.0f} s")


def _show(seen: Sequence[Seen]) -> None:
    say(f"\n  {'failure':<20}" + "".join(f"{place:>10}" for place in _PLACES))
    for one in seen:
        cells = (f"{one.seconds[place]:8.0f} s" if place in one.seconds else f"{'never':>10}" for place in _PLACES)
        say(f"  {one.kind:<20}" + "".join(cells))
