"""Wordings and their versions. A version never changes: a notification keeps the wording it was planned with."""

from __future__ import annotations

from collections.abc import Iterable

from carenotify.domain.notification import Channel
from carenotify.domain.wording import TemplateVersion
from carenotify.storage.database import Transaction

_LATEST = """
SELECT DISTINCT ON (code, channel, language) id, code, channel, language, version, subject, text, html
FROM template_versions
WHERE code = %(code)s
ORDER BY code, channel, language, version DESC
"""

_BY_ID = """
SELECT id, code, channel, language, version, subject, text, html FROM template_versions WHERE id = ANY(%(ids)s)
"""

_ADD = """
INSERT INTO template_versions (code, channel, language, version, subject, text, html)
SELECT %(code)s, %(channel)s, %(language)s, 1 + COALESCE(max(version), 0), %(subject)s, %(text)s, %(html)s
FROM template_versions
WHERE code = %(code)s AND channel = %(channel)s AND language = %(language)s
"""


def take_turns(transaction: Transaction) -> None:
    """Wait until nobody else is storing wordings; until the end of this transaction, nobody will. Readers go on."""
    transaction.execute("LOCK TABLE templates IN SHARE ROW EXCLUSIVE MODE")


def latest(transaction: Transaction, code: str) -> list[TemplateVersion]:
    """The newest version of a wording, for each channel and language."""
    return [_version(row) for row in transaction.execute(_LATEST, {"code": code})]


def by_id(transaction: Transaction, ids: Iterable[int]) -> dict[int, TemplateVersion]:
    """Versions by id; an id that is not there is left out."""
    versions = (_version(row) for row in transaction.execute(_BY_ID, {"ids": list(ids)}))
    return {version.id: version for version in versions if version.id is not None}


def add_version(transaction: Transaction, template: TemplateVersion) -> None:
    """Store a wording as the newest version of its code, channel and language."""
    transaction.execute("INSERT INTO templates (code) VALUES (%s) ON CONFLICT DO NOTHING", (template.code,))
    transaction.execute(
        _ADD,
        {
            "code": template.code,
            "channel": template.channel.value,
            "language": template.language,
            "subject": template.subject,
            "text": template.text,
            "html": template.html,
        },
    )


def _version(row: tuple[int, str, str, str, int, str | None, str, str | None]) -> TemplateVersion:
    identity, code, channel, language, version, subject, text, html = row
    return TemplateVersion(identity, code, Channel(channel), language, version, subject, text, html)
