"""Tell staff by mail what failed since the last look, every two minutes; nothing when all is well."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from alert_mails import told_of_trouble
from carenotify.config import load_settings
from day_of_run import opened_app
from private_errors import private_errors
from task_retries import tried_again

SETTINGS = load_settings()
ZONE = str(SETTINGS.timezone)

WHAT_TO_DO = (
    "No alert is lost: what failed is still in the database, and is mailed by the next run that comes through. If look "
    "failed, see whether PostgreSQL answers; if mail failed, see whether the mail server of Airflow's connection does. "
    "The page shows the alerts meanwhile."
)

DOC = f"""
**What it does.** Looks for what failed since the last look (messages, dead letters, held loads, providers that are
down, messages that nobody sends) and mails it to CARENOTIFY_ALERT_TO: one mail for all that is new, grouped, with
counts and with what to do. Nothing is told twice, and nothing is mailed when all is well.

**When.** Every two minutes. If it does not run, the workers notice and mail in its place.

**When it fails.** {WHAT_TO_DO}

**More:** what each alert means, and what to do: docs/operations.md.
"""

# A look that fails is tried again as often as a new run would look, for half an hour: an outage of the database is one
# failed run, and not one every two minutes.
LOOKS = 16


@task(
    task_display_name="Look for failures",
    retries=LOOKS,
    retry_delay=timedelta(seconds=15),
    max_retry_delay=timedelta(minutes=2),
)
@private_errors
def look() -> dict[str, int]:
    """Note what failed since the last look as alerts; counts them by kind."""
    with opened_app("watch_delivery") as app:
        return app.delivery_watch.look()


@task(task_display_name="Mail what is new")
@private_errors
def mail() -> int:
    """Mail all alerts that wait, in one mail; counts them. A mail server that is down leaves them for the next run."""
    from airflow_mail import alert_sender

    if not SETTINGS.alert_to:
        raise AirflowSkipException("CARENOTIFY_ALERT_TO is not set, so the alerts are on the page only")
    with opened_app("watch_delivery") as app:
        return app.alert_mailer.mail(alert_sender(app.settings, app.clock))


@dag(
    schedule=CronTriggerTimetable("*/2 * * * *", timezone=ZONE),
    catchup=False,
    max_active_runs=1,
    dag_display_name="Watch delivery",
    tags=["alerts"],
    doc_md=DOC,
    dagrun_timeout=timedelta(minutes=50),
    default_args=tried_again(
        after=timedelta(seconds=10), at_most_after=timedelta(minutes=1), cut_off_after=timedelta(minutes=2)
    ),
    **told_of_trouble(what_to_do=WHAT_TO_DO, done_within=timedelta(minutes=5)),
)
def watch_delivery() -> None:
    """Wire the steps."""
    look() >> mail()


watch_delivery()
