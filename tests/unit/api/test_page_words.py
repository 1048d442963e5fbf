"""The page has words of its own for the names that the server uses; a new name gets them here too."""

from __future__ import annotations

import re
from collections.abc import Collection

import pytest

from carenotify.api.routes.page import FOLDER
from carenotify.domain.alert import AlertKind, Severity
from carenotify.domain.dead_letter import REASONS, RESOLUTIONS, Refusal
from carenotify.domain.kinds import KINDS
from carenotify.domain.notification import Channel, Status


def names_in(file: str, table: str) -> set[str]:
    """The keys of `const TABLE = {…};` in a script of the page."""
    script = (FOLDER / file).read_text(encoding="utf-8")
    body = re.search(rf"^const {table} = \{{(.*?)\}};$", script, re.MULTILINE | re.DOTALL)
    assert body is not None, f"{file} has no table {table}"
    return set(re.findall(r"(?:^|[{,]|\n)\s*(\w+): [\[\"]", body[1]))


@pytest.mark.parametrize(
    ("file", "table", "names"),
    [
        ("words.js", "STATUS", list(Status)),
        ("words.js", "CHANNEL", list(Channel)),
        ("words.js", "KIND", list(KINDS)),
        ("words.js", "SEVERITY", list(Severity)),
        ("letters.js", "REASONS", REASONS),
        ("letters.js", "REFUSALS", list(Refusal)),
        ("letters.js", "RESOLUTIONS", RESOLUTIONS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_name_of_the_servers_has_a_word_on_the_page(file: str, table: str, names: Collection[str]) -> None:
    assert names_in(file, table) >= {str(name) for name in names}


def test_alerts_that_the_page_treats_as_lasting_or_links_somewhere_are_kinds_that_there_are() -> None:
    script = (FOLDER / "views" / "alerts.js").read_text(encoding="utf-8")
    lasting = re.search(r"new Set\(\[(.*?)\]\)", script, re.DOTALL)
    assert lasting is not None
    named = set(re.findall(r'"(\w+)"', lasting[1])) | names_in("views/alerts.js", "PLACES")
    assert named <= {kind.value for kind in AlertKind}
    assert len(named) > 6
