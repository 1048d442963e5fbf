"""The mail that says that a DAG run failed: one a run, however many of its tasks did."""

from __future__ import annotations

from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from carenotify.config import Settings

# Names only what every callback's context has and is true: a manual run has no logical date, the task instance that
# comes along is the run's last one, which need not be the one that failed, and an exception's text may hold data.
_SUBJECT = "carenotify: {{ dag.dag_id }} failed"
_BODY = """\
<p>The run <b>{{ run_id | e }}</b> of <b>{{ dag.dag_id }}</b> failed.</p>
<p>What to do: WHAT_TO_DO</p>
<p>Which task failed, and why, stands here: <a href="LINK">LINK</a>. After mending the cause, clear the \
failed tasks there: they can be run again without harm.</p>
"""


def mail_failures(settings: Settings, *, what_to_do: str) -> list[SmtpNotifier]:
    """Callbacks for a DAG's `on_failure_callback`: a mail to CARENOTIFY_ALERT_TO over `smtp_default`, if it is set."""
    if not settings.alert_to:
        return []
    link = settings.public_url.rstrip("/") + "/dags/{{ dag.dag_id }}/runs/{{ run_id | urlencode }}"
    body = _BODY.replace("WHAT_TO_DO", what_to_do).replace("LINK", link)
    return [
        SmtpNotifier(to=list(settings.alert_to), from_email=settings.email_from, subject=_SUBJECT, html_content=body)
    ]
