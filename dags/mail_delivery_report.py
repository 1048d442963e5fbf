"""Mail staff the day's delivery report every day, also when nothing was due."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from alert_mails import told_of_trouble
from carenotify.config import load_settings
from carenotify.domain.window import local_day
from day_of_run import asked_day, day_of_run, opened_app
from private_errors import private_errors
from task_retries import tried_again

SETTINGS = load_settings()
ZONE = str(SETTINGS.timezone)
AT = SETTINGS.report_time

WHAT_TO_DO = (
    "No figure is lost: they are on the page under Reports. See whether PostgreSQL and the mail server of "
    "CARENOTIFY_SMTP_URL (or Amazon SES) answer, then clear the failed task: it mails the report of its own day."
)

DOC = f"""
**What it does.** Mails the day's report to CARENOTIFY_REPORT_TO, or where that is not set to CARENOTIFY_ALERT_TO: how
many of those who were due were reached, by channel, why the others were not, changes, contact coverage, and what waits
for a person; with a link to the page, and the figures as CSV. Counts only, nobody's data. A day on which nothing was
due is reported too, so that a report that does not come is noticed.

**When.** Every day at {AT:%H:%M} in {ZONE}. By hand: with a day, to have the report of that day once more.

**When it fails.** {WHAT_TO_DO} Those of CARENOTIFY_ALERT_TO are told; without it, nobody is.

**More:** docs/operations.md.
"""


@task(task_display_name="Mail the report")
@private_errors
def mail() -> dict[str, int | str]:
    """Count the day and mail it; gives its main counts. Of a mail that was perhaps taken there is no second try."""
    if not SETTINGS.report_receivers[1]:
        raise AirflowSkipException(
            "neither CARENOTIFY_REPORT_TO nor CARENOTIFY_ALERT_TO is set; the report is on the page"
        )
    context = get_current_context()
    with opened_app("mail_delivery_report") as app:
        day = day_of_run(context, app, asked=context["params"]["day"])
        if day > local_day(app.clock(), app.settings.timezone):
            raise AirflowFailException(f"{day} is still to come")
        by_hand = context["dag_run"].run_type == "manual"
        return app.report_mailer.mail(day, asked_by=context["run_id"] if by_hand else None)


@dag(
    schedule=CronTriggerTimetable(f"{AT.minute} {AT.hour} * * *", timezone=ZONE),
    catchup=False,
    max_active_runs=1,
    dag_display_name="Mail the daily report",
    tags=["report"],
    doc_md=DOC,
    default_args=tried_again(
        after=timedelta(minutes=1), at_most_after=timedelta(minutes=5), cut_off_after=timedelta(minutes=5)
    ),
    params={"day": asked_day("The hospital's day to report")},
    # Four tries that are cut off, and the waits between them, which Airflow makes up to twice as long.
    **told_of_trouble(what_to_do=WHAT_TO_DO, done_within=timedelta(minutes=35)),
)
def mail_delivery_report() -> None:
    """One step."""
    mail()


mail_delivery_report()
