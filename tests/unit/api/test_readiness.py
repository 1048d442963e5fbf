from __future__ import annotations

from carenotify.api.readiness import Readiness


def test_however_many_ask_the_probes_look_once_a_second() -> None:
    now = [100.0]
    looks = []

    def probe() -> bool:
        looks.append(now[0])
        return len(looks) != 2

    readiness = Readiness({"database": probe}, timer=lambda: now[0])
    seen = []
    for _ in range(10):
        seen.append(readiness.look()["database"])
        now[0] += 0.25
    assert looks == [100.0, 101.0, 102.0]
    assert seen == [True] * 4 + [False] * 4 + [True] * 2
