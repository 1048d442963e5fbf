"""The failures that `make alarms` plays in the running demo: how each begins, where it shows, and how it is mended."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Any

from stack.airflow_api import AirflowApi
from stack.carenotify_api import CarenotifyApi, post_json
from stack.demo_changes import Booked, booked_on, note_in_books
from stack.loopback import get_json, open_local
from stack.rabbitmq import call_management
from stack.system import System, demo_day
from stack.waiting import wait_until

_PREFIX = "carenotify_"
_DAYS_AHEAD = 5
_MANY = 600  # more changes than CARENOTIFY_MAX_CHANGES_PER_LOAD


@dataclass(frozen=True)
class Alarm:
    """One failure. It is measured when that sample is not 0, or, for `today` counts, has grown; `lasts_seconds` is for
    how long it has to last before it is one."""

    kind: str
    what: str
    begin: Callable[[Scene], None]
    sample: str
    end: Callable[[Scene], None] = lambda _: None
    lasts_seconds: float = 0.0
    mail_says: str = ""


class Scene:
    """The running demo, and how things stood before."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.settings = system.settings
        self.airflow = AirflowApi(self.settings)
        self.api = CarenotifyApi(self.settings)
        self.began = datetime.now(UTC)
        self.day = demo_day(self.settings)
        self._mails_before = {_id_of(mail) for mail in self._mails()}
        self._measured_before = self._samples()

    # --- what staff see ------------------------------------------------------------------------

    def is_mailed(self, alarm: Alarm) -> bool:
        """Whether a new mail to staff speaks of the failure."""
        mails = (mail for mail in self._mails() if _id_of(mail) not in self._mails_before)
        words = alarm.mail_says or f"operations.md#{alarm.kind}"
        return any(words in f"{mail['subject']} {mail['text']} {mail['html']}" for mail in mails)

    def is_measured(self, alarm: Alarm) -> bool:
        """Whether the failure's sample is above what it was before."""
        return self._samples().get(alarm.sample, 0.0) > self._measured_before.get(alarm.sample, 0.0)

    def is_on_page(self, alarm: Alarm) -> bool:
        """Whether what the page shows has the alert, raised since."""
        shown = self.api.get("/alerts?limit=100")["alerts"]
        return any(
            one["kind"] == alarm.kind and datetime.fromisoformat(one["raised_at"]) >= self.began for one in shown
        )

    def _mails(self) -> list[dict[str, Any]]:
        to = self.settings["CARENOTIFY_ALERT_TO"]
        found: list[dict[str, Any]] = get_json(f"{self._sandbox}/mails?to={to}&limit=1000")["mails"]
        return found

    def _samples(self) -> dict[str, float]:
        """Every sample of the API's metrics, by its name and labels."""
        address = f"{self.settings['CARENOTIFY_API_URL']}/metrics"
        with open_local(address, timeout_seconds=30) as answer:
            lines = answer.read().decode().splitlines()
        named = (line.rpartition(" ") for line in lines if line.startswith(_PREFIX))
        return {name.removeprefix(_PREFIX): float(value) for name, _, value in named}

    # --- what goes wrong -----------------------------------------------------------------------

    @property
    def _sandbox(self) -> str:
        return self.settings["CARENOTIFY_SANDBOX_URL"]

    @cached_property
    def _faults(self) -> dict[str, Any]:
        found: dict[str, Any] = get_json(f"{self._sandbox}/faults")
        return found

    @cached_property
    def _booked(self) -> list[Booked]:
        ahead = (self.day + timedelta(days=number) for number in range(1, _DAYS_AHEAD))
        return list(islice((booked for day in ahead for booked in booked_on(self.settings, day)), _MANY))

    def set_faults(self, **faults: Any) -> None:
        """Let the outside world behave so."""
        _ = self._faults  # as they were, for `mend_faults`
        post_json(f"{self._sandbox}/faults", faults)

    def mend_faults(self, *names: str) -> None:
        """Let it behave as before."""
        post_json(f"{self._sandbox}/faults", {name: self._faults[name] for name in names})

    def tell_patients(self, count: int, *, channel: str, first: int = 0) -> list[str]:
        """Ask for messages to some patients, and return their ids."""
        return [
            one
            for number, booked in enumerate(self._booked[first : first + count])
            for one in self.api.ask_for(
                {
                    "type": "message",
                    "user": booked.patient_id,
                    "data": {"subject": "Parking", "text": "Please use the north car park."},
                    "channels": [channel],
                },
                key=f"alarms-{self.began:%H%M%S}-{channel}-{first + number}",
            )["notification_ids"]
        ]

    def fail_for_good(self) -> None:
        """All addresses are dead while some messages go out; not any longer, for staff's own is one of them."""
        self.set_faults(dead_share=1.0)
        ids = self.tell_patients(5, channel="sms")
        try:
            wait_until(lambda: all(self._is_over(one) for one in ids), what="The end of messages", seconds=60)
        finally:
            self.mend_faults("dead_share")

    def _is_over(self, notification: str) -> bool:
        return self.api.get(f"/notifications/{notification}")["finished_at"] is not None

    def publish_nonsense(self) -> None:
        """Somebody else's message on our queue."""
        rabbitmq = self.system.rabbitmq
        message = {
            "properties": {"delivery_mode": 2},
            "routing_key": "sms.high",
            "payload": base64.b64encode(f"not ours {self.began}".encode()).decode(),
            "payload_encoding": "base64",
        }
        path = "/api/exchanges/%2F/notifications/publish"
        call_management(rabbitmq.management_url, "POST", path, password=rabbitmq.password, body=message)

    def move_many(self, minutes: int) -> None:
        """Move more appointments in the hospital's books than a load may announce."""
        by = timedelta(minutes=minutes)
        for booked in self._booked:
            note_in_books(
                self.settings,
                booked,
                {"start": (booked.start + by).isoformat(), "end": (booked.end + by).isoformat()},
            )

    def load(self) -> None:
        """Start a load, behind one that may be under way."""
        self._load = self.airflow.trigger("ingest_appointments", datetime.now(UTC))

    def discard_load(self) -> None:
        """Throw the load away, if it was held."""
        command = [str(self.system.checkout.python), "-m", "carenotify", "ingest", "--discard", self._load]
        subprocess.run(command, env=self.system.environment, cwd=self.system.checkout.root, check=False)

    def plan_tomorrow(self) -> None:
        """Ask for the plan of a day to come, which is refused."""
        tomorrow: date = self.day + timedelta(days=1)
        self.airflow.trigger("send_reminders", datetime.now(UTC), conf={"day": tomorrow.isoformat()})

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the process group of one of the demo's processes."""
        if (pid := self.system.processes.pid(name)) is not None:
            os.killpg(pid, number)


def _id_of(mail: Mapping[str, Any]) -> str:
    return str(mail["headers"]["Message-ID"])


def _hold_load(scene: Scene) -> None:
    scene.move_many(5)
    scene.load()


def _give_up_load(scene: Scene) -> None:
    scene.move_many(0)
    scene.discard_load()


def _provider_down(scene: Scene) -> None:
    scene.set_faults(twilio_mode="down")
    scene.tell_patients(10, channel="sms", first=10)


def _pause_mail(scene: Scene) -> None:
    scene.api.pause("email")
    scene.tell_patients(3, channel="email", first=30)


def _freeze_broker(scene: Scene) -> None:
    scene.signal("rabbitmq", signal.SIGSTOP)
    scene.tell_patients(3, channel="sms", first=40)


def _stop_watching(scene: Scene) -> None:
    scene.airflow.pause("watch_delivery")
    scene.airflow.trigger("watch_delivery", datetime.now(UTC))


PHASES: tuple[tuple[Alarm, ...], ...] = (
    (
        Alarm(
            "task_failed",
            "send_reminders is asked to plan tomorrow",
            Scene.plan_tomorrow,
            'alerts_today{kind="task_failed"}',
            mail_says="send_reminders failed",
        ),
        Alarm(
            "broker_gave_up",
            "a message on our queue that is not ours",
            Scene.publish_nonsense,
            'alerts_today{kind="broker_gave_up"}',
        ),
        Alarm(
            "delivery_failed",
            "messages to numbers that are dead",
            Scene.fail_for_good,
            'notifications_today{channel="sms",status="failed"}',
        ),
        Alarm(
            "load_held",
            "the hospital moves hundreds of appointments at once",
            _hold_load,
            "loads_held",
            end=_give_up_load,
        ),
    ),
    (
        Alarm(
            "provider_down",
            "Twilio answers 503 to everything",
            _provider_down,
            'provider_breaker_state{provider="twilio"}',
            end=lambda scene: scene.mend_faults("twilio_mode"),
        ),
        Alarm(
            "paused_in_window",
            "somebody pauses e-mail",
            _pause_mail,
            'channel_paused{channel="email"}',
            end=lambda scene: scene.api.resume("email"),
        ),
    ),
    (
        Alarm(
            "sending_stalled",
            "RabbitMQ hangs",
            _freeze_broker,
            'alerts_today{kind="sending_stalled"}',
            end=lambda scene: scene.signal("rabbitmq", signal.SIGCONT),
            lasts_seconds=180,
        ),
    ),
    (
        Alarm(
            "deadline_missed",
            "watch_delivery is switched off while a run of it waits",
            _stop_watching,
            'alerts_today{kind="deadline_missed"}',
            end=lambda scene: scene.airflow.unpause("watch_delivery"),
            lasts_seconds=300,
            mail_says="watch_delivery takes too long",
        ),
    ),
)
