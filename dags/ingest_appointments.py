"""Copy appointments and contact details from the hospital's FHIR API to PostgreSQL, every half hour."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from alert_mails import told_of_trouble
from carenotify.app import App
from carenotify.config import load_settings
from carenotify.errors import LoadHeldError, SourceAnswerError
from day_of_run import day_of_run, opened_app
from private_errors import private_errors
from private_sql_check import PrivateSQLCheckOperator
from task_retries import tried_again

SETTINGS = load_settings()
ZONE = str(SETTINGS.timezone)

WHAT_TO_DO = (
    "The last good copy of the appointments stays in use, and the next run fetches again what did not come whole. "
    "Of a load that is held a mail of its own says why, and how to let it in after all; if our database is away, that "
    "mail follows when it is back."
)

DOC = f"""
**What it does.** Copies the appointments of today and the days ahead from the hospital's FHIR API, each day as a mapped
task, and what changed since the last good load; asks by id for what vanished; passes all of it through the quality
gate; loads it in one transaction. Patients whose appointment changed are told. A day that fails does not stop the
others. A load with too many bad rows or changes is held.

**When.** Every half hour, one run at a time. By hand: with another first day, with more days ahead, or to release a
held load.

**When it fails.** {WHAT_TO_DO}

**More:** docs/loads.md, docs/operations.md.
"""

# A load is true when it is marked so, and when every row that it let through is in the live table.
COUNTS_AGREE = """
SELECT run.status = 'loaded',
    (run.counts->>'new')::int + (run.counts->>'changed')::int + (run.counts->>'changed_past')::int
        + (run.counts->>'unchanged')::int + (run.counts->>'stale')::int + (run.counts->>'unscheduled')::int
        = (run.counts->>'rows')::int - (run.counts->>'rejected')::int,
    (SELECT count(*) FROM carenotify.appointments AS known WHERE known.fetched_at >= run.started_at)
        >= (run.counts->>'new')::int,
    NOT EXISTS (SELECT FROM carenotify.staging_appointments AS staged WHERE staged.run_id = run.id)
FROM carenotify.ingest_runs AS run WHERE run.id = '{{ run_id | replace("'", "''") }}'
"""

_app = partial(opened_app, "ingest_appointments")


@contextmanager
def _no_retry_when_final() -> Iterator[None]:
    """A held load waits for a person and a foreign answer for a mended API: trying again soon helps neither."""
    try:
        yield
    except (LoadHeldError, SourceAnswerError) as error:
        raise AirflowFailException(str(error)) from None


def _source(app: App) -> Any:
    """The patient API over the session of Airflow's connection, which holds its credentials."""
    from airflow.providers.http.hooks.http import HttpHook

    from carenotify.sources.fhir_r4 import open_fhir_r4

    hook = HttpHook(method="GET", http_conn_id="patient_api")
    session = hook.get_conn()
    return open_fhir_r4(app.settings, session=session, base_url=hook.base_url)


@task.branch(task_display_name="Load, or release a held load")
@private_errors
def choose_way() -> str:
    """Release a held load when the form names one, else load."""
    return "release_load" if get_current_context()["params"]["release_run_id"] else "start_load"


@task(task_display_name="Choose the days")
@private_errors
def start_load() -> list[str]:
    """Register the load; gives the days to fetch."""
    from carenotify.journeys.start_load import start_load

    context = get_current_context()
    with _app() as app:
        ahead = context["params"]["days_ahead"]
        days = start_load(
            app.database,
            run_id=context["run_id"],
            first_day=day_of_run(context, app, asked=context["params"]["first_day"]),
            days=1 + (app.settings.ingest_days_ahead if ahead is None else ahead),
            clock=app.clock,
        )
    return [day.isoformat() for day in days]


@task(
    task_display_name="Fetch a day",
    doc_md="Copy one of the hospital's days into staging; the label says which. Its XCom counts rows and pages.",
    map_index_template="{{ task.op_kwargs['day'] }}",
    max_active_tis_per_dagrun=4,
)
@private_errors
def fetch_day(day: str) -> dict[str, Any]:
    """Copy one local day into staging."""
    from carenotify.journeys.fetch_day import fetch_day

    run_id = get_current_context()["run_id"]
    with _app() as app, _no_retry_when_final():
        return fetch_day(app.database, _source(app), run_id=run_id, day=date.fromisoformat(day), clock=app.clock)


@task(task_display_name="Fetch what changed")
@private_errors
def fetch_updates() -> dict[str, Any]:
    """Copy what changed since the last good load, on whatever day."""
    from carenotify.journeys.fetch_updates import fetch_updates

    with _app() as app, _no_retry_when_final():
        return fetch_updates(app.database, _source(app), run_id=get_current_context()["run_id"], clock=app.clock)


@task(task_display_name="Ask for what vanished", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
@private_errors
def fetch_missing() -> dict[str, int]:
    """Ask by id for known appointments that did not come. Goes on with the days that came."""
    from carenotify.journeys.fetch_missing import fetch_missing

    with _app() as app:
        return fetch_missing(
            app.database,
            _source(app),
            run_id=get_current_context()["run_id"],
            timezone=app.settings.timezone,
            clock=app.clock,
        )


@task(task_display_name="Check the quality")
@private_errors
def check_load() -> dict[str, int]:
    """The quality gate: bad rows go to quarantine, too many of them hold the load. The page "Data docs" shows more."""
    from carenotify.journeys.check_load import BadShares, check_load

    with _app() as app, _no_retry_when_final():
        return check_load(
            app.database,
            run_id=get_current_context()["run_id"],
            allowed=BadShares(app.settings.max_bad_share, app.settings.max_bad_address_share),
            docs_path=Path(app.settings.data_docs_path),
            clock=app.clock,
        )


@task(task_display_name="Load")
@private_errors
def load_appointments() -> dict[str, int]:
    """Make the load true, in one transaction, and tell the patients whose appointment changed."""
    from carenotify.journeys.load_appointments import load_appointments

    with _app() as app, _no_retry_when_final():
        return load_appointments(
            app.database,
            run_id=get_current_context()["run_id"],
            max_changes=app.settings.max_changes_per_load,
            acceptor=app.event_acceptor,
            clock=app.clock,
        )


@task(task_display_name="Release the held load")
@private_errors
def release_load() -> dict[str, int]:
    """Let a held load in, because a person has looked at it."""
    from carenotify.journeys.release_load import release_load

    with _app() as app, _no_retry_when_final():
        run_id = get_current_context()["params"]["release_run_id"]
        return release_load(app.database, run_id=run_id, acceptor=app.event_acceptor, clock=app.clock)


@task(task_display_name="Close the load", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS, retries=0)
@private_errors
def close_load() -> None:
    """Fail the run when it is not loaded, or when a day did not come whole, after the good days were loaded."""
    from carenotify.journeys.close_load import close_load

    with _app() as app:
        problems = close_load(app.database, run_id=get_current_context()["run_id"], clock=app.clock)
    if problems:
        raise AirflowFailException("; ".join(problems))


@dag(
    schedule=CronTriggerTimetable("*/30 * * * *", timezone=ZONE),
    catchup=False,
    max_active_runs=1,
    dag_display_name="Ingest appointments",
    tags=["appointments", "data in"],
    doc_md=DOC,
    default_args=tried_again(
        after=timedelta(seconds=15), at_most_after=timedelta(minutes=5), cut_off_after=timedelta(minutes=30)
    ),
    params={
        "first_day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="First day",
            description="The hospital's day to start with; empty: the day of the run.",
        ),
        "days_ahead": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=366,
            title="Days ahead",
            description="How many days after the first one; empty: CARENOTIFY_INGEST_DAYS_AHEAD.",
        ),
        "release_run_id": Param(
            None,
            type=["null", "string"],
            title="Held load to release",
            description="The run id of a held load that is to be taken over after all; nothing is fetched then.",
        ),
    },
    # The next run comes after 30 minutes.
    **told_of_trouble(what_to_do=WHAT_TO_DO, done_within=timedelta(minutes=25), loads=True),
)
def ingest_appointments() -> None:
    """Wire the steps."""
    started = start_load()
    choose_way() >> [started, release_load()]
    updates, missing, checked, loaded, closed = (
        fetch_updates(),
        fetch_missing(),
        check_load(),
        load_appointments(),
        close_load(),
    )
    counts_agree = PrivateSQLCheckOperator(
        task_id="counts_agree",
        task_display_name="Check the counts",
        doc_md="The load is marked as loaded, and every row that it let through is in the table of appointments.",
        conn_id="carenotify_db",
        sql=COUNTS_AGREE,
    )
    started >> updates
    [fetch_day.expand(day=started), updates] >> missing >> checked >> loaded >> counts_agree
    [started, loaded] >> closed


ingest_appointments()
