"""Word the mail that tells staff of alerts. It depends on the alerts alone, so that it is the same when sent again."""

from __future__ import annotations

from collections.abc import Sequence

from carenotify.config import Settings
from carenotify.domain.alert import Alert
from carenotify.domain.alert_mail import AlertMail


def word_alerts(alerts: Sequence[Alert], *, message_id: str, settings: Settings) -> AlertMail:
    """One mail for all of these."""
    lines = [f"{one.title}: {one.count} ({one.subject})\n{one.what_to_do}" for one in alerts]
    subject = f"carenotify: {len(alerts)} alerts, {settings.hospital_name}"
    return AlertMail(message_id, subject, "\n\n".join(lines), "")
