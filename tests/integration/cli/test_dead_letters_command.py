"""`python -m carenotify dead-letters …`, and who paused, as a person at a terminal meets them."""

from __future__ import annotations

import getpass
import re
from base64 import b64encode
from collections import Counter
from pathlib import Path

import pytest
from click.testing import Result

from carenotify.app import App
from carenotify.domain.dead_letter import REASONS
from tests.integration.conftest import Run
from tests.integration.ward import NOON, Hospital

ROOT = Path(__file__).parents[3]
ME = f"command:{getpass.getuser()}"


@pytest.fixture
def letters(app: App, hospital: Hospital) -> list[int]:
    """Three SMS that failed yesterday for good, and can be sent until the year 2199."""
    for number in range(3):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(NOON.date())
    hospital.query("UPDATE notifications SET status = 'failed', expires_at = '2199-01-01T00:00Z' RETURNING 1")
    rows = hospital.query(
        "INSERT INTO dead_letters (notification_id, reason, code, attempts, created_at)"
        " SELECT id, 'retries_spent', '500', 6, %s FROM notifications ORDER BY id RETURNING id",
        NOON,
    )
    return [row[0] for row in rows]


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def failed(result: Result) -> str:
    """The one line that a command which could not go on said."""
    assert result.exit_code == 1, result.output
    assert len(result.stderr.splitlines()) == 1
    return result.stderr.strip()


def test_a_list_says_what_there_is_and_what_to_do_next(run: Run, letters: list[int]) -> None:
    shown = done(run("dead-letters", "list", "--most", "2"))
    for wanted in ("retries_spent", "500", "reminder", "sms", "until 2199-01-01 01:00", "2026-11-24 09:30"):
        assert wanted in shown
    assert f"There are more: --before {letters[1]}" in shown
    assert "Next: dead-letters show ID" in shown
    assert "There are more" not in done(run("dead-letters", "list", "--before", str(letters[1])))
    for nothing in (["--channel", "email"], ["--reason", "wording"], ["--source", "broker"], ["--resolved"]):
        assert done(run("dead-letters", "list", *nothing)) == "No dead letters.\n"


def test_one_is_shown_with_what_can_be_done_about_it(run: Run, letters: list[int], hospital: Hospital) -> None:
    hospital.query("UPDATE notifications SET possible_duplicate = true RETURNING 1")
    shown = done(run("dead-letters", "show", str(letters[0])))
    for wanted in (f"Dead letter {letters[0]}", "retries_spent", "failed", "can be, until 2199", "may come twice"):
        assert wanted in shown
    assert failed(run("dead-letters", "show", "7000")) == "carenotify dead-letters: there is no dead letter 7000"


def test_a_broken_message_is_printed_only_when_asked_for_harmless_to_terminals_and_noted(
    run: Run, app: App, hospital: Hospital
) -> None:
    body = b"Anna\x1b[2J\xff"
    sealed = app.sealer.seal({"size": 4_000_000, "beginning": b64encode(body).decode()})
    [(letter,)] = hospital.query(
        "INSERT INTO dead_letters (source, reason, code, queue, attempts, created_at, message_hash, sealed_message)"
        " VALUES ('broker', 'not_an_envelope', 'rejected', 'sms.low', 1, now(), 'x', %s) RETURNING id",
        sealed,
    )
    plain = done(run("dead-letters", "show", str(letter)))
    assert "sms.low" in plain
    assert "No notification stands behind it" in plain
    assert "Anna" not in plain
    assert hospital.query("SELECT * FROM audit_log") == []
    shown = done(run("dead-letters", "show", str(letter), "--message"))
    assert "had 4000000 bytes; the first 9 of them:\nAnna\\x1b[2J\\xff\n" in shown
    assert hospital.query("SELECT actor, action, subject FROM audit_log") == [
        (ME, "dead_letter.message_read", str(letter))
    ]


def test_all_of_a_reason_are_replayed_after_a_dry_run(run: Run, letters: list[int], hospital: Hospital) -> None:
    hospital.add_appointment("a1", "p1", venue="Elsewhere")
    words = ("dead-letters", "replay", "--all", "--reason", "retries_spent", "--channel", "sms")
    told = done(run(*words, "--dry-run")).splitlines()
    assert told[0] == "2 would be replayed."
    assert told[1].startswith(f"1 not ({letters[1]}): Its appointment has changed since")
    assert hospital.statuses() == Counter(failed=3)
    assert done(run(*words, "--most", "1")).startswith("1 replayed; the workers send them within seconds.")
    assert done(run(*words)).startswith("1 replayed")
    assert hospital.statuses() == Counter(pending=2, failed=1)
    assert hospital.query("SELECT DISTINCT actor, action FROM audit_log") == [(ME, "dead_letter.replayed")]
    assert ME in done(run("dead-letters", "list", "--resolved"))


def test_some_are_replayed_and_discarded_by_their_ids(run: Run, letters: list[int], hospital: Hospital) -> None:
    first, second, third = map(str, letters)
    assert done(run("dead-letters", "replay", first, second)).startswith("2 replayed")
    refused = run("dead-letters", "replay", first)
    assert f"1 not ({first}): It was replayed or discarded before, or a late receipt has answered it." in refused.output
    assert done(run("dead-letters", "discard", third)) == "1 discarded, 0 were discarded before.\n"
    assert done(run("dead-letters", "discard", third)) == "0 discarded, 1 were discarded before.\n"
    assert "replayed or discarded before" in failed(run("dead-letters", "discard", first))
    assert "there is no dead letter 7000" in failed(run("dead-letters", "replay", "7000"))
    assert hospital.statuses() == Counter(pending=2, failed=1)


@pytest.mark.parametrize(
    "words",
    [("replay",), ("replay", "1", "--all"), ("replay", "1", "--reason", "wording"), ("discard",), ("discard", "x")],
    ids=" ".join,
)
def test_a_command_that_does_not_say_which_changes_nothing(
    run: Run, letters: list[int], hospital: Hospital, words: tuple[str, ...]
) -> None:
    assert run("dead-letters", *words).exit_code == 2
    assert hospital.statuses() == Counter(failed=3)


def test_a_replay_that_refuses_one_of_the_named_ids_is_no_success(run: Run, letters: list[int]) -> None:
    first, second, _ = map(str, letters)
    run("dead-letters", "replay", first)
    assert run("dead-letters", "replay", first, second, "--dry-run").exit_code == 1
    mixed = run("dead-letters", "replay", first, second)
    assert mixed.exit_code == 1
    assert mixed.output.startswith("1 replayed")


@pytest.mark.parametrize("verb", ["list", "replay --all"])
def test_a_reason_that_there_is_not_is_a_usage_error(run: Run, letters: list[int], verb: str) -> None:
    result = run("dead-letters", *verb.split(), "--reason", "retries-spent")
    assert result.exit_code == 2
    assert "'retries-spent' is not one of" in result.stderr


def test_the_reasons_that_can_be_asked_for_are_those_that_the_document_explains_and_the_form_offers() -> None:
    table = (ROOT / "docs" / "dead-letters.md").read_text().partition("## What each reason means")[2]
    rows = re.findall(r"^\| (`.*?) \|", table.partition("\n## ")[0], re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(REASONS)
    offered = (ROOT / "dags" / "replay_dead_letters.py").read_text().partition("examples=[")[2].partition("]")[0]
    assert set(re.findall(r'"(\w+)"', offered)) <= set(REASONS)


@pytest.mark.parametrize("resolution", ["fallback", "told_otherwise", "delivered"])
def test_what_answered_itself_is_listed_by_how_it_ended(
    run: Run, letters: list[int], hospital: Hospital, resolution: str
) -> None:
    hospital.query(
        "UPDATE dead_letters SET resolved_at = now(), resolution = %s WHERE id = %s RETURNING 1",
        *(resolution, letters[0]),
    )
    run("dead-letters", "discard", str(letters[1]))
    shown = done(run("dead-letters", "list", "--resolution", resolution))
    assert f" {resolution} " in shown
    assert "None" not in shown
    assert "discarded" not in shown
    assert "discarded" in done(run("dead-letters", "list", "--resolved"))


def test_who_paused_and_resumed_by_command_is_in_the_audit_log(run: Run, hospital: Hospital) -> None:
    done(run("pause", "--channel", "sms"))
    assert hospital.query("SELECT paused_by FROM pauses") == [(ME,)]
    done(run("resume"))
    assert hospital.query("SELECT actor, action, subject FROM audit_log ORDER BY id") == [
        (ME, "sending.paused", "sms"),
        (ME, "sending.resumed", "*"),
    ]
