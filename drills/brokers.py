"""Drills in which the broker is short of disk, or a cluster of three loses the node that leads the queues."""

from __future__ import annotations

import json
import time
from typing import Any

from drills.ward import Ward
from stack.rabbitmq import call_management

MORE_THAN_ANY_DISK = str(10**16)
USUAL_LIMIT = "200MB"
_ALARM_SECONDS = 15.0
_SECONDS_EACH = 25.0
_QUEUE = "sms.low"
_DOWN_SECONDS = 5.0


def disk_alarm(ward: Ward) -> None:
    """The broker blocks publishers, while messages come due, until it has disk again."""
    ward.plan(over_seconds=_SECONDS_EACH * ward.size.rounds)
    ward.start()
    for number in range(ward.size.rounds):
        ward.wait_for_share((number + 0.2) / ward.size.rounds)
        ward.broker.tell("disk-limit", MORE_THAN_ANY_DISK)
        ward.wait_for(lambda: _alarmed(ward), "the alarm goes on")
        time.sleep(_ALARM_SECONDS)
        ward.broker.tell("disk-limit", USUAL_LIMIT)
        ward.wait_for(lambda: not _alarmed(ward), "the alarm goes off")
        ward.note_recovery()
        ward.tell(f"disk alarm for {_ALARM_SECONDS:.0f} s; deliveries go on")


def leader_lost(ward: Ward) -> None:
    """The node that leads the queues is killed; the others choose a new leader, and it comes back later."""
    ward.plan(over_seconds=_SECONDS_EACH * ward.size.rounds)
    ward.start()
    for number in range(ward.size.rounds):
        ward.wait_for_share((number + 0.2) / ward.size.rounds)
        leader = _leader(ward)
        ward.broker.tell("kill", leader)
        ward.note_recovery()
        ward.tell(f"node {leader}, which led {_QUEUE}, killed; deliveries go on")
        time.sleep(_DOWN_SECONDS)
        ward.broker.tell("start", leader)
        ward.wait_for(lambda: len(_queue(ward)["online"]) == len(_nodes(ward)), "every node has the queue again")


def _alarmed(ward: Ward) -> bool:
    [node] = _ask(ward, ward.broker.address["management_url"], "/api/nodes")
    return bool(node["disk_free_alarm"])


def _leader(ward: Ward) -> str:
    return str(_queue(ward)["leader"]).partition("@")[0]


def _queue(ward: Ward) -> dict[str, Any]:
    """What the cluster knows of a queue, asked of any node that answers."""
    for url in _nodes(ward).values():
        try:
            found: dict[str, Any] = _ask(ward, url, f"/api/queues/%2F/{_QUEUE}")
        except OSError:
            continue
        return found
    return {"online": []}


def _nodes(ward: Ward) -> dict[str, str]:
    nodes: dict[str, str] = ward.broker.address["management_urls"]
    return nodes


def _ask(ward: Ward, url: str, path: str) -> Any:
    return json.loads(call_management(url, "GET", path, password=ward.broker.address["password"]))
