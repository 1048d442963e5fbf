"""Patients who answer STOP, and what their telephones get afterwards: nothing, whatever the hospital changes."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any
from urllib.parse import quote

from stack.carenotify_api import CarenotifyApi, post_json
from stack.demo_changes import Booked, booked_on, change, note_in_books
from stack.errors import StackError
from stack.loopback import get_json

STOPPED = 3


@dataclass(frozen=True)
class Replies:
    """Patients whose telephone said STOP, and the messages that later changes led to.

    Whether a text was tried to such a telephone, its provider knows.
    """

    stopped: int = 0
    patients: frozenset[str] = frozenset()
    later_ids: set[str] = field(default_factory=set)


def text_of_each(report: Mapping[str, Any], received: AbstractSet[str]) -> dict[str, str]:
    """By patient, one text message that a telephone got."""
    return {
        told["patient_id"]: id_
        for id_, told in report["notification_ids"].items()
        if told["channel"] == "sms" and id_ in received
    }


def say_stop(settings: Mapping[str, str], day: date, texts: Mapping[str, str], *, run: str) -> Replies:
    """Let some telephones answer STOP to their reminder, then move the appointments of their owners to the next day."""
    api = CarenotifyApi(settings)
    chosen = list(islice((one for one in booked_on(settings, day) if one.patient_id in texts), STOPPED))
    for booked in chosen:
        _answer(settings, texts[booked.patient_id], "Stop.")
    later = {id_ for number, one in enumerate(chosen) for id_ in _move(settings, api, one, f"demo-{run}-stop-{number}")}
    return Replies(len(chosen), frozenset(one.patient_id for one in chosen), later)


def _answer(settings: Mapping[str, str], text_id: str, word: str) -> None:
    """A telephone answers the text that it got; its provider passes that on to us, signed."""
    sandbox = settings["CARENOTIFY_SANDBOX_URL"]
    [got] = get_json(f"{sandbox}/messages?notification_id={quote(text_id)}")["messages"]
    passed_on = post_json(f"{sandbox}/twilio/inbound", {"from": got["to"], "body": word})
    if not 200 <= passed_on["status"] < 300:  # 2xx is success
        raise StackError(f"A reply was answered with {passed_on['status']}: {passed_on['answer']}")


def _move(settings: Mapping[str, str], api: CarenotifyApi, booked: Booked, event_id: str) -> list[str]:
    event, in_books = change("rescheduled", booked, booked.place, event_id=event_id)
    note_in_books(settings, booked, in_books)
    return list(api.post_event(event)["notification_ids"])
