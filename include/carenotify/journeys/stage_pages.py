"""Put what a search brings into staging, page by page, so that a page that fails costs no other page."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from carenotify.domain.clock import Clock
from carenotify.errors import SourceError
from carenotify.sources.base import Page
from carenotify.storage.database import Database
from carenotify.storage.staging import stage_rows

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Staged:
    """What came: `found` are the appointments by id, `nameless` rows have none; `error` is what ended it early."""

    found: set[str] = field(default_factory=set)
    nameless: int = 0
    rows: int = 0
    pages: int = 0
    total: int | None = None
    error: SourceError | None = None

    @property
    def complete(self) -> bool:
        """Every page came, and as many appointments as the source said that there are."""
        return self.error is None and (self.total is None or len(self.found) + self.nameless >= self.total)


def stage_pages(database: Database, pages: Iterator[Page], *, run_id: str, part: str, clock: Clock) -> Staged:
    """Stage pages until they end or the source fails; a failure is kept in the answer, not raised."""
    staged = Staged()
    while True:
        asked_at = clock()
        try:
            page = next(pages, None)
        except SourceError as error:
            _log.warning("load %s, part %s stopped after %d pages: %s", run_id, part, staged.pages, error)
            staged.error = error
            return staged
        if page is None:
            return staged
        with database.transaction() as transaction:
            rows = ((row.as_dict(), asked_at) for row in page.rows)
            staged.rows += stage_rows(transaction, database.sealer, run_id=run_id, part=part, rows=rows)
        staged.pages += 1
        staged.total = page.total if page.total is not None else staged.total
        staged.found |= {row.appointment_id for row in page.rows if row.appointment_id is not None}
        staged.nameless += sum(row.appointment_id is None for row in page.rows)
