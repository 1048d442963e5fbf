"""Send what failed once more, when a person starts it: after an outage, or with a mended wording."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Param, dag, get_current_context, task

from alert_mails import told_of_trouble
from carenotify.config import load_settings
from carenotify.domain.notification import Channel
from day_of_run import opened_app
from private_errors import private_errors
from task_retries import tried_again

load_settings()  # a setting that is wrong is to be seen as this file's import error, not first when it runs

WHAT_TO_DO = (
    "Nothing is half done: what was replayed before the failure is on its way, and what was not is still in the list. "
    "Running it again replays nothing twice. The list: python -m carenotify dead-letters list"
)

DOC = f"""
**What it does.** Sends failed notifications once more: those of the chosen reasons and channel, oldest first. One whose
appointment has changed, whose time is over, or whose place another message has taken is left alone, and counted by that
reason in the task's XCom. A dry run counts and changes nothing.

**When.** Only when a person starts it: after an outage, or once a wording is mended.

**When it fails.** {WHAT_TO_DO}

**More:** what each reason means, and what to do: docs/dead-letters.md.
"""


@task(task_display_name="Replay what failed")
@private_errors
def replay() -> dict[str, int]:
    """Let failed notifications be due again; counts them, and by reason those that are not. The workers send them."""
    from carenotify.journeys.replay_dead_letters import replay_matching

    context = get_current_context()
    params = context["params"]
    with opened_app("replay_dead_letters") as app:
        outcome = replay_matching(
            app.database,
            reasons=params["reasons"] or None,
            channel=None if params["channel"] is None else Channel(params["channel"]),
            most=params["most"],
            by=f"dag:replay_dead_letters:{context['run_id']}",
            clock=app.clock,
            dry_run=params["dry_run"],
        )
    return outcome.summary()


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dag_display_name="Replay dead letters",
    tags=["dead letters", "data out"],
    doc_md=DOC,
    default_args=tried_again(
        after=timedelta(seconds=10), at_most_after=timedelta(minutes=2), cut_off_after=timedelta(minutes=20)
    ),
    params={
        "reasons": Param(
            ["retries_spent"],
            type="array",
            items={"type": "string"},
            examples=[
                "retries_spent",
                "worker_lost",
                "wording",
                "unreadable",
                "address_rejected",
                "message_rejected",
                "contact_unknown",
                "returned_by_broker",
            ],
            title="Reasons",
            description="Why they failed; none chosen: whatever the reason.",
        ),
        "channel": Param(
            None,
            type=["null", "string"],
            enum=[None, *map(str, Channel)],
            title="Channel",
            description="Only those of that channel; empty: of all.",
        ),
        "most": Param(
            1000,
            type=["null", "integer"],
            minimum=1,
            title="At most",
            description="So many are replayed; empty: all of them.",
        ),
        "dry_run": Param(
            default=False,
            type="boolean",
            title="Dry run",
            description="Count what would be replayed, and why the rest would not; change nothing.",
        ),
    },
    **told_of_trouble(what_to_do=WHAT_TO_DO, done_within=timedelta(minutes=30)),
)
def replay_dead_letters() -> None:
    """One step."""
    replay()


replay_dead_letters()
