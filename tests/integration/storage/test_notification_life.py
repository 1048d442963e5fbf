"""Random interleavings of everybody who touches a notification, on real PostgreSQL.

Publishers, brokers that repeat and lose messages, workers that send, hang and die, relays, providers that tell what
became of messages, pauses and the clock take turns in any order. Whatever they do: only legal moves, nobody sends what
another may have sent without a mark, or what a provider was heard to have, and in the end every notification is final.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from carenotify.app import App
from carenotify.channels.sms.twilio_receipts import receipt_of
from carenotify.domain import delivery
from carenotify.domain.delivery import Attempt, Outcome
from carenotify.domain.notification import FINAL, Channel, Lane, Status, can_move
from carenotify.domain.retry import DELIVERY_RETRIES
from carenotify.errors import (
    AddressRejectedError,
    DeliveryError,
    OptedOutError,
    TemporaryDeliveryError,
    ThrottledError,
    UnconfirmedDeliveryError,
)
from carenotify.journeys.relay_due import GRACE
from carenotify.storage import outbox, pauses, results
from carenotify.storage.claims import Claim
from carenotify.storage.outbox import LeasedRow
from tests.integration.ward import NOON, Hospital, SetClock

ROWS = 3
CHANNELS = [None, Channel.SMS]
ATTEMPTS_ALLOWED = len(DELIVERY_RETRIES.delays) + 1
LEASE = timedelta(seconds=30)

Said = DeliveryError | None
answers: st.SearchStrategy[Said] = st.sampled_from(
    [
        None,
        None,
        TemporaryDeliveryError("500"),
        UnconfirmedDeliveryError("connection-cut"),
        TemporaryDeliveryError("503", retry_after=timedelta(seconds=40)),
        ThrottledError("429"),
        AddressRejectedError("21211"),
        OptedOutError("21610"),
    ]
)


class Life:
    """One lane of a few reminders. `sends` is what a provider saw of each, by claim, since the last known result.

    `taken` are those that the provider has, and tells of; `heard` those of which we have applied that.
    """

    def __init__(self, app: App, hospital: Hospital, clock: SetClock) -> None:
        self.app = app
        self.hospital = hospital
        self.clock = clock
        self.sends: dict[UUID, list[UUID]] = {}
        self.taken: list[UUID] = []
        self.heard: set[UUID] = set()
        self.messages: list[UUID] = []
        self.leases: list[tuple[datetime, list[LeasedRow]]] = []
        self.unmarked: list[tuple[datetime, list[UUID]]] = []
        self.held: list[Claim] = []
        self.results: list[Outcome] = []
        self.seen: dict[UUID, Status] = {}

    def plan(self, attempts: int) -> None:
        self.clock.now = NOON
        self.act(
            lambda transaction: transaction.execute("TRUNCATE notifications, suppressions, pauses, receipts CASCADE")
        )
        self.app.reminder_planner.plan(NOON.date())
        self.hospital.query("UPDATE notifications SET attempts = %s RETURNING 1", attempts)
        self.seen = {row[0]: Status(row[1]) for row in self.hospital.query("SELECT id, status FROM notifications")}
        assert len(self.seen) == ROWS

    def act(self, what: Callable[[Any], Any]) -> Any:
        with self.app.database.transaction() as transaction:
            result = what(transaction)
        self.watch()
        return result

    def watch(self) -> None:
        for identity, status in self.hospital.query("SELECT id, status FROM notifications"):
            after = Status(status)
            if identity in self.seen:
                before = self.seen[identity]
                assert before == after or can_move(before, after), f"{before} became {after}"
            self.seen[identity] = after

    # --- publishing --------------------------------------------------------------------------

    def lease(self, limit: int) -> None:
        until = self.clock.now + LEASE
        rows = self.act(
            lambda transaction: outbox.lease_due(
                transaction, lane=Lane.LOW, now=self.clock.now, lease=until, limit=limit
            )
        )
        if rows:
            self.leases.append((until, rows))

    def publish(self, confirm: str) -> None:
        """The oldest lease's rows reach the broker, unless it says no; whoever hears nothing lets the lease run out."""
        if not self.leases:
            return
        until, rows = self.leases.pop(0)
        ids = [row.notification_id for row in rows]
        if confirm == "is a no":
            self.act(lambda transaction: outbox.release(transaction, ids, lease=until))
            return
        self.messages.extend(ids)
        if confirm == "is late":
            self.unmarked.append((until, ids))
        elif confirm == "comes":
            self.act(lambda transaction: outbox.mark_queued(transaction, ids, lease=until, now=self.clock.now))

    def mark_late(self) -> None:
        """A message can overtake its own mark."""
        if not self.unmarked:
            return
        until, ids = self.unmarked.pop(0)
        self.act(lambda transaction: outbox.mark_queued(transaction, ids, lease=until, now=self.clock.now))

    def publish_everything(self, confirm: str = "comes") -> None:
        self.lease(limit=ROWS)
        while self.leases:
            self.publish(confirm)

    # --- delivering --------------------------------------------------------------------------

    def claim(self, number: int, acknowledged: bool) -> None:
        """A worker takes some messages; those that are not acknowledged come again."""
        ids = self.messages[:number]
        if not ids:
            return
        if acknowledged:
            self.messages = self.messages[number:]
        taken, _ = self.app.deliverer.claim(ids)
        self.held.extend(taken)
        self.watch()

    def send(self, said: Said, which: int) -> None:
        if not self.held:
            return
        claim = self.held.pop(which % len(self.held))
        if self.clock.now >= claim.claimed_until:
            return  # as Deliverer.send does: the lease ran out before its turn came
        self.note_send(claim)
        if said is None or isinstance(said, UnconfirmedDeliveryError):
            self.taken.append(claim.notification_id)
        attempt = Attempt(claim.notification_id, claim.token, claim.attempt, "paper")
        if said is None:
            self.results.append(delivery.accepted(attempt, "id", to="+491510000000"))
        else:
            self.results.append(delivery.refused(attempt, said, to="+491510000000", now=self.clock.now))

    def note_send(self, claim: Claim) -> None:
        """Somebody else's send of which nothing is recorded may have got through: this one has to be marked."""
        identity = claim.notification_id
        assert identity not in self.heard, "sent again although the provider was heard to have it"
        others = [token for token in self.sends.get(identity, []) if token != claim.token]
        if others:
            [(marked,)] = self.hospital.query("SELECT possible_duplicate FROM notifications WHERE id = %s", identity)
            assert marked, "sent by two holders without a mark"
        self.sends.setdefault(identity, []).append(claim.token)

    def record(self) -> None:
        written, self.results = self.results, []
        if not written:
            return
        holders = dict(self.hospital.query("SELECT id, claim_token FROM notifications"))
        ours = {one.notification_id for one in written if holders[one.notification_id] == one.claim_token}
        one_each = list({one.notification_id: one for one in written if one.notification_id not in ours}.values())
        one_each += [one for one in written if holders[one.notification_id] == one.claim_token]
        done = self.act(
            lambda transaction: results.record(transaction, one_each, now=self.clock.now, sealer=self.app.sealer)
        )
        assert done == ours, "a result was written by somebody who had lost the claim, or was not written"
        for identity in done:
            self.sends[identity] = []  # what became of it is known: another attempt repeats nothing

    def work(self, said: Said, ends: str) -> None:
        """All at once what seldom comes about by chance: one message published, claimed, sent, and recorded or not."""
        self.publish_everything()
        self.claim(number=1, acknowledged=True)
        self.send(said, which=0)
        if ends == "is recorded":
            self.record()
        elif ends == "is lost":
            self.worker_dies()
            self.clock.advance(seconds=46)
            self.sweep()

    def worker_dies(self) -> None:
        self.held, self.results = [], []

    def forget_messages(self) -> None:
        """The broker loses its disk."""
        self.messages = []

    # --- receipts ----------------------------------------------------------------------------

    def provider_tells(self, word: str, which: int) -> None:
        """Of any message that it has, at any time, and again."""
        if self.taken:
            identity = self.taken[which % len(self.taken)]
            self.app.receipt_recorder.record([receipt_of(identity, f"id-{identity}", word=word, code=None)])
            self.hear()

    def hear_waiting(self) -> None:
        self.app.receipt_recorder.apply_waiting()
        self.hear()

    def hear(self) -> None:
        self.watch()
        applied = self.hospital.query("SELECT notification_id FROM receipts WHERE applied_at IS NOT NULL")
        self.heard |= {identity for (identity,) in applied}

    # --- everybody else ----------------------------------------------------------------------

    def sweep(self) -> None:
        now = self.clock.now
        self.act(
            lambda transaction: results.settle(
                transaction, now=now, claimed_before=now - GRACE, attempts_allowed=ATTEMPTS_ALLOWED
            )
        )
        self.act(lambda transaction: outbox.expire(transaction, now=now))

    def stand_still(self) -> None:
        """A worker's machine sleeps for a minute, and wakes with all it holds; the others went on meanwhile."""
        self.clock.advance(seconds=60)
        self.sweep()
        self.publish_everything()
        self.claim(number=len(self.messages), acknowledged=True)

    def requeue_lost(self) -> None:
        """Only of a lane that is empty."""
        if not self.messages:
            before = self.clock.now - timedelta(seconds=120)
            self.act(
                lambda transaction: outbox.requeue_lost(
                    transaction, channel=Channel.SMS, lane=Lane.LOW, queued_before=before
                )
            )

    def pause_or_resume(self, wanted: bool, channel: Channel | None) -> None:
        if wanted:
            self.act(lambda transaction: pauses.pause(transaction, channel, by="a test", now=self.clock.now))
        else:
            self.act(lambda transaction: pauses.resume(transaction, None))

    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    def check(self) -> None:
        """What holds at any moment."""
        most = dict(self.hospital.query("SELECT status, max(attempts) FROM notifications GROUP BY status"))
        assert max(most.values(), default=0) <= ATTEMPTS_ALLOWED
        assert all(most.get(status, 0) < ATTEMPTS_ALLOWED for status in ("pending", "queued", "sending"))
        wrong = self.hospital.query(
            "SELECT status FROM notifications WHERE (status = 'sending') <> (claim_token IS NOT NULL)"
            " OR (finished_at IS NULL) <> (status IN ('pending', 'queued', 'sending'))"
        )
        assert wrong == []

    def come_to_an_end(self) -> None:
        """From wherever it stands, working servers bring everything to an end."""
        self.act(lambda transaction: pauses.resume(transaction, None))
        self.leases, self.unmarked, self.held, self.results, self.messages = [], [], [], [], []
        for _ in range(20):
            self.clock.advance(seconds=125)
            self.requeue_lost()
            self.sweep()
            self.publish_everything()
            if self.messages:
                self.claim(number=len(self.messages), acknowledged=True)
            while self.held:
                self.send(said=None, which=0)
            if self.results:
                self.record()
            self.hear_waiting()
            self.app.receipt_recorder.forget_unknown()  # every hour: also applies what came long before it could be
            self.hear()
            if all(status in FINAL for status in self.seen.values()):
                assert self.hospital.query("SELECT count(*) FROM receipts WHERE applied_at IS NULL") == [(0,)]
                return
        pytest.fail(f"still not final: {self.seen}")


ONE_TO_ALL = st.integers(1, ROWS)
MOVES: list[st.SearchStrategy[tuple[str, dict[str, Any]]]] = [
    st.tuples(st.just(name), st.fixed_dictionaries(arguments))
    for name, arguments in {
        "lease": {"limit": ONE_TO_ALL},
        "publish": {"confirm": st.sampled_from(["comes", "is late", "is lost", "is a no"])},
        "mark_late": {},
        "publish_everything": {"confirm": st.sampled_from(["comes", "is late"])},
        "claim": {"number": ONE_TO_ALL, "acknowledged": st.booleans()},
        "send": {"said": answers, "which": ONE_TO_ALL},
        "record": {},
        "work": {"said": answers, "ends": st.sampled_from(["is recorded", "is lost", "hangs"])},
        "worker_dies": {},
        "provider_tells": {"word": st.sampled_from(["sent", "delivered", "undelivered"]), "which": ONE_TO_ALL},
        "hear_waiting": {},
        "stand_still": {},
        "forget_messages": {},
        "sweep": {},
        "requeue_lost": {},
        "pause_or_resume": {"wanted": st.sampled_from([True, False, False]), "channel": st.sampled_from(CHANNELS)},
        "time_passes": {"seconds": st.sampled_from([1, 5, 31, 46, 121, 600])},
    }.items()
]


@pytest.fixture
def ward(hospital: Hospital) -> Hospital:
    for number in range(ROWS):
        hospital.add_patient(f"p{number}", phone=f"+491511000010{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    return hospital


# A receipt comes while its message is being sent, and what came of that is recorded long after.
@example(
    attempts=0,
    moves=[
        ("publish_everything", {"confirm": "comes"}),
        ("claim", {"number": 1, "acknowledged": True}),
        ("send", {"said": None, "which": 0}),
        ("provider_tells", {"word": "delivered", "which": 0}),
        ("time_passes", {"seconds": 600}),
        ("time_passes", {"seconds": 600}),
        ("record", {}),
    ],
)
# Not shrunk: each example is some hundred statements, and a failure shows all of its moves as it is.
@settings(max_examples=40, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(
    attempts=st.sampled_from([0, 0, 4, 5]),
    moves=st.lists(st.one_of(*MOVES), min_size=40, max_size=60),
)
def test_whatever_happens_in_whatever_order_every_notification_comes_to_its_end_once(
    app: App, ward: Hospital, clock: SetClock, attempts: int, moves: list[tuple[str, dict[str, Any]]]
) -> None:
    life = Life(app, ward, clock)
    life.plan(attempts)
    for name, arguments in moves:
        getattr(life, name)(**arguments)
        life.check()
    life.come_to_an_end()
