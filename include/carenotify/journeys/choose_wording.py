"""Which stored wording a new notification is pinned to."""

from __future__ import annotations

from dataclasses import dataclass

from carenotify.domain.kinds import Kind
from carenotify.domain.notification import Channel
from carenotify.domain.wording import TemplateVersion, choose_language
from carenotify.errors import WordingError
from carenotify.storage import templates
from carenotify.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Wordings:
    """The newest version of a kind's wording, in every channel and language that it has."""

    versions: list[TemplateVersion]
    default_language: str

    @classmethod
    def of(cls, transaction: Transaction, kind: Kind, *, default_language: str) -> Wordings:
        """What is stored for a kind now."""
        return cls(templates.latest(transaction, kind.template), default_language)

    def choose(self, channel: Channel, *wanted_languages: str | None) -> int:
        """The id of the version to pin. Raises WordingError when there is none even in the default language."""
        known = {version.language: version for version in self.versions if version.channel is channel}
        if not known:
            raise WordingError(f"no wording for {channel} is stored; run: python -m carenotify migrate")
        version = known[choose_language(wanted_languages, known, self.default_language)]
        if version.id is None:
            raise WordingError(f"{version} is not stored; run: python -m carenotify migrate")
        return version.id
