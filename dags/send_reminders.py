"""Remind every patient with an appointment in three days, every day when the send window opens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from alert_mails import told_of_trouble
from carenotify.config import load_settings
from carenotify.domain.window import local_day
from carenotify.errors import PlanDayError, WindowClosedError
from day_of_run import asked_day, day_of_run, opened_app
from private_errors import private_errors
from private_sql_check import PrivateSQLCheckOperator
from task_retries import tried_again

SETTINGS = load_settings()
ZONE = str(SETTINGS.timezone)
WINDOW = SETTINGS.send_window
WHEN_THE_WINDOW_OPENS = f"{WINDOW.opens_minute % 60} {WINDOW.opens_minute // 60} * * *"
# A try that was cut off leaves its rows leased: a second one that came sooner would find none, and look well.
AFTER_THE_LEASE = timedelta(seconds=SETTINGS.publish_lease_seconds + 5)

WHAT_TO_DO = (
    "Reminders that were planned are not lost: the workers publish whatever is due, also without this run. If the plan "
    "itself failed, clear it while the window is open; after that, the next day's run catches up on it."
)

DOC = f"""
**What it does.** Plans one message for each patient, day and channel from the appointments of the next
{SETTINGS.reminder_days_before} days that nobody was reminded of, and publishes them to RabbitMQ in mapped batches; the
workers send them. Running it again, or for a day that is over, reminds nobody twice: a closed window plans nothing. A
dry run shows the counts and stores nothing.

**When.** Every day when the send window, {WINDOW} in {ZONE}, opens.

**When it fails.** {WHAT_TO_DO}

**More:** docs/architecture.md, docs/operations.md.
"""

# Each reminder that is due has left its row for the broker once, unless its channel is paused. What a worker put off
# (a busy provider, a temporary failure) is pending again too, and has its reason.
NOTHING_WAITS = """
SELECT count(*) = 0
FROM carenotify.notifications AS waiting
WHERE waiting.kind = 'reminder' AND waiting.status = 'pending' AND waiting.attempts = 0
  AND waiting.reason IS NULL AND waiting.due_at <= now() AND waiting.expires_at > now()
  AND NOT EXISTS (SELECT FROM carenotify.pauses AS pause WHERE pause.channel IN (waiting.channel, '*'))
"""


@task(task_display_name="Plan the day")
@private_errors
def plan() -> list[dict[str, Any]]:
    """Plan the day's reminders; gives the batches to publish. A window that is over plans nothing."""
    context = get_current_context()
    with opened_app("send_reminders") as app:
        day = day_of_run(context, app, asked=context["params"]["day"])
        try:
            planned = app.reminder_planner.plan(day, dry_run=context["params"]["dry_run"])
        except WindowClosedError as error:
            if day < local_day(app.clock(), app.settings.timezone):
                raise AirflowSkipException(str(error)) from None
            raise AirflowFailException(str(error)) from None
        except PlanDayError as error:
            raise AirflowFailException(str(error)) from None
    context["ti"].xcom_push(key="summary", value=planned.summary())
    return [
        {"first": str(within.first), "last": str(within.last), "label": f"batch {number}: {count} reminders"}
        for number, (within, count) in enumerate(planned.batches, start=1)
    ]


@task(
    task_display_name="Publish a batch",
    doc_md="Publish one batch and wait until the broker has confirmed it; the label says which, and how many it has.",
    map_index_template="{{ task.op_kwargs['batch']['label'] }}",
    max_active_tis_per_dagrun=4,
    retries=8,
    retry_delay=AFTER_THE_LEASE,
    retry_exponential_backoff=0,
)
@private_errors
def publish(batch: dict[str, Any]) -> dict[str, int]:
    """Publish one batch and wait until the broker has confirmed it."""
    from uuid import UUID

    from carenotify.domain.kinds import REMINDER
    from carenotify.storage.outbox import IdRange

    within = IdRange(UUID(batch["first"]), UUID(batch["last"]))
    with opened_app("send_reminders") as app:
        published = app.due_publisher.publish_due(REMINDER.lane, within=within)
    if published.unconfirmed:
        raise AirflowException(f"the broker did not confirm {published.unconfirmed} messages; they are still pending")
    return {"confirmed": published.confirmed}


@dag(
    # Installed while the window is open, it runs at once; on any other hour it waits for the next opening.
    schedule=CronTriggerTimetable(
        WHEN_THE_WINDOW_OPENS,
        timezone=ZONE,
        run_immediately=timedelta(minutes=WINDOW.closes_minute - WINDOW.opens_minute),
    ),
    catchup=False,
    max_active_runs=1,
    dag_display_name="Send reminders",
    tags=["reminders", "data out"],
    doc_md=DOC,
    default_args=tried_again(
        after=timedelta(seconds=10), at_most_after=timedelta(minutes=2), cut_off_after=timedelta(minutes=20)
    ),
    params={
        "day": asked_day("The hospital's day whose window is planned"),
        "dry_run": Param(
            default=False,
            type="boolean",
            title="Dry run",
            description="Count who would be reminded, and why others would not; store and send nothing.",
        ),
    },
    # Well inside the window, which the relay and the sending need too.
    **told_of_trouble(what_to_do=WHAT_TO_DO, done_within=timedelta(minutes=30)),
)
def send_reminders() -> None:
    """Wire the steps."""
    published = publish.expand(batch=plan())
    # All that is due has left: a batch whose retries are spent may still be published by a worker's relay.
    published >> PrivateSQLCheckOperator(
        task_id="nothing_waits",
        task_display_name="Nothing waits",
        doc_md="Every reminder that is due has left for the broker, unless its channel is paused.",
        conn_id="carenotify_db",
        sql=NOTHING_WAITS,
        trigger_rule="none_failed",
        retry_delay=timedelta(seconds=5),
    )


send_reminders()
