"""`make demo`: a synthetic hospital's day, from its failing patient API to its patients' phones and mail boxes."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from stack import demo_replies, demo_report, demo_waiting
from stack.airflow_api import AirflowApi
from stack.carenotify_api import CarenotifyApi
from stack.checkout import Checkout
from stack.demo_changes import Changes, Posted
from stack.demo_judge import judge
from stack.demo_replies import Replies
from stack.demo_truth import Truth, compare, reached
from stack.demo_waiting import Moved
from stack.errors import StackError
from stack.loopback import get_json, open_local
from stack.progress import say
from stack.system import System, demo_day
from stack.up import up

_DAG_SECONDS = 900
_STALLED_SECONDS = 300
_RECEIPT_SECONDS, _QUIET_SECONDS = 30, 4
_CHANGES_SECONDS = 120
_DAYS_AHEAD = 3


def demo(checkout: Checkout) -> int:
    """Run the whole day, write the report, and return 0 when nothing was lost and nothing sent twice."""
    seconds: dict[str, float] = {}
    with _timed(seconds, "start"):
        system = up(checkout, demo=True)
    day = Day(system, demo_day(system.settings), seconds)
    day.import_preferences()
    earlier = day.report()
    before = demo_report.taken_before(earlier, day.counts())
    day.run("ingest_appointments", "ingest", offset=timedelta(), join=True)
    day.run("send_reminders", "send_reminders", offset=timedelta())
    moved = day.move_waiting()
    day.wait_until_settled()
    told = day.report()
    day.run("send_reminders", "send_reminders_again", offset=timedelta(milliseconds=1))
    received = day.counts().keys() | before
    expected = day.truth()
    told_before = set(earlier["notification_ids"])
    truth = compare(expected, report=told, received=received, before=told_before)
    truth |= reached(expected, report=told, arrived=day.arrived() | before, before=told_before)
    replies = day.answer_stop(told, received)
    changes = day.post_changes(told, received, without=replies.patients)
    file = checkout.run / "demo-report.json"
    report = demo_report.write(
        file,
        report=day.report() | truth,
        counts=day.counts(),
        stats=day.stats(),
        seconds=seconds,
        before=before,
        changes=changes,
        moved=moved,
        replies=replies,
    )
    demo_report.show(report, system.settings, file)
    judge(report, planned=told["notifications"], fresh=told["notifications"] - earlier["notifications"])
    return 0


@dataclass
class Day:
    """One day of the running system, told as it goes."""

    system: System
    day: date
    seconds: dict[str, float]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def run_name(self) -> str:
        """What tells this demo's events from those of others."""
        return f"{self.began:%Y%m%d%H%M%S}"

    def import_preferences(self) -> None:
        """Take the patients' wishes from the hospital's own list."""
        with _timed(self.seconds, "preferences"), tempfile.NamedTemporaryFile(suffix=".csv") as file:
            with open_local(f"{self._sandbox}/hospital/preferences.csv", timeout_seconds=60) as answer:
                file.write(answer.read())
            file.flush()
            self._carenotify("preferences", "import", file.name)

    def run(self, dag: str, stage: str, *, offset: timedelta, join: bool = False) -> None:
        """Run one DAG through Airflow's REST API, showing its tasks, until it has succeeded.

        With `join`, a run that the schedule has started already is followed instead: another would wait behind it.
        """
        api = AirflowApi(self.system.settings)
        say(f"\n{dag}")
        api.wait_for_dag(dag, seconds=120)
        line = ChangingLine()
        with _timed(self.seconds, stage):
            run = (api.run_at_work(dag) if join else None) or api.trigger(dag, self.began + offset)
            api.follow(dag, run, show=lambda tasks: line.show("tasks", tasks), seconds=_DAG_SECONDS)

    def move_waiting(self) -> Moved:
        """Stop sending, move some appointments whose reminders wait, and go on."""
        api = CarenotifyApi(self.system.settings)
        api.pause()
        try:
            waiting = demo_waiting.waiting_reminders(self.report(), day=self._ahead)
            moved = demo_waiting.move_waiting(self.system.settings, self._ahead, waiting, run=self.run_name)
        finally:
            api.resume()
        say(f"  {moved.events} appointments moved while their reminders waited")
        return moved

    def wait_until_settled(self) -> None:
        """Return when every notification of the day has a final status, and receipts and fallbacks have come.

        Raises StackError when nothing moves while messages wait. Receipts that do not come are not waited for long.
        """
        say("\ndelivery")
        line = ChangingLine()
        moved = time.monotonic()
        with _timed(self.seconds, "delivery"):
            while time.monotonic() - moved < _patience(report := self.report()):
                if line.show("notifications", report["by_status"]):
                    moved = time.monotonic()
                time.sleep(1)
        if demo_report.unfinished(report):
            raise StackError(f"Delivery stands still with {report['by_status']}; see the workers' logs.")

    def truth(self) -> Truth:
        """Who should be told of the days ahead, by the hospital's own word."""
        days = [self.day + timedelta(days=number) for number in range(1, _DAYS_AHEAD + 1)]
        return Truth.from_answers(get_json(f"{self._sandbox}/hospital/expected?day={day}") for day in days)

    def answer_stop(self, told: dict[str, Any], received: set[str]) -> Replies:
        """Let some telephones answer STOP, and move their owners' appointments afterwards."""
        say("\nreplies")
        patients = demo_report.fully_told(told, received, day=self._ahead)
        texts = demo_replies.text_of_each(told, received)
        with _timed(self.seconds, "replies"):
            theirs = {patient: text for patient, text in texts.items() if patient in patients}
            replies = demo_replies.say_stop(self.system.settings, self._ahead, theirs, run=self.run_name)
        say(f"  {replies.stopped} telephones said STOP; their owners' appointments moved afterwards")
        return replies

    def post_changes(self, told: dict[str, Any], received: set[str], *, without: frozenset[str]) -> Posted:
        """Change appointments of the day ahead, and return when the receivers have the messages, or after a while."""
        say("\nchanges")
        ahead = self._ahead
        patients = demo_report.fully_told(told, received, day=ahead) - without
        with _timed(self.seconds, "changes"):
            posted = Changes(self.system.settings, ahead, patients, self.run_name).post()
            deadline = time.monotonic() + _CHANGES_SECONDS
            line = ChangingLine()
            while (have := len(posted.notification_ids & self.counts().keys())) < len(posted.notification_ids):
                line.show("changes", {"accepted": posted.events, "messages received": have})
                if time.monotonic() > deadline:
                    break  # what has not come by now is counted as lost
                time.sleep(0.5)
            line.show("changes", {"accepted": posted.events, "messages received": have})
        return posted

    def report(self) -> dict[str, Any]:
        """The day as our database knows it."""
        found: dict[str, Any] = json.loads(self._carenotify("report", "--date", self.day.isoformat(), "--json"))
        return found

    def counts(self) -> dict[str, Any]:
        """What the receivers counted, by notification id."""
        found: dict[str, Any] = get_json(f"{self._sandbox}/counts")
        return found

    def arrived(self) -> set[str]:
        """Ids of what people have, by the receivers' own word."""
        return set(get_json(f"{self._sandbox}/arrived")["notification_ids"])

    def stats(self) -> dict[str, Any]:
        """How many calls the patient API had, and failed on purpose."""
        found: dict[str, Any] = get_json(f"{self._sandbox}/stats")
        return found

    @property
    def _ahead(self) -> date:
        """The day whose appointments are reminded of today."""
        return self.day + timedelta(days=_DAYS_AHEAD)

    @property
    def _sandbox(self) -> str:
        return self.system.settings["CARENOTIFY_SANDBOX_URL"]

    def _carenotify(self, *words: str) -> str:
        done = subprocess.run(
            [self.system.checkout.python, "-m", "carenotify", *words],
            env=self.system.environment,
            cwd=self.system.checkout.root,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"carenotify {words[0]} failed: {done.stderr.strip()[-2000:]}")
        return done.stdout


class ChangingLine:
    """Says a set of counted things whenever it differs from the last time."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._began = time.monotonic()

    def show(self, what: str, counted: dict[str, int]) -> bool:
        """Print the counts when they have changed, and return whether they have."""
        if counted == self._last:
            return False
        self._last = dict(counted)
        told = ", ".join(f"{number} {name}" for name, number in sorted(counted.items()))
        say(f"  {time.monotonic() - self._began:5.1f} s  {what}: {told or 'none yet'}")
        return True


def _patience(report: dict[str, Any]) -> float:
    """For how many seconds nothing may move before the day counts as over, or as stuck.

    When all is told there is still a moment in which a late receipt leads to a fallback.
    """
    if demo_report.unfinished(report):
        return _STALLED_SECONDS
    return _RECEIPT_SECONDS if demo_report.awaiting_receipt(report) else _QUIET_SECONDS


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - began
