"""Store the wordings that come with carenotify, as new versions where they differ from what is stored."""

from __future__ import annotations

from carenotify.domain.kinds import KINDS
from carenotify.domain.template_check import check_template
from carenotify.domain.wording import TemplateVersion
from carenotify.storage import templates
from carenotify.storage.database import Database
from carenotify.templates import load_template_files


def seed_templates(*, database: Database) -> int:
    """Check every template file against its kind's data and store what is new; returns how many versions were added.

    Raises WordingError before anything is stored when a file names a variable that its kind does not have.
    """
    files = load_template_files()
    kinds = {kind.template: kind for kind in KINDS.values()}
    for file in files:
        if file.code in kinds:
            check_template(file, kinds[file.code].data)
    with database.transaction() as transaction:
        templates.take_turns(transaction)
        stored = {_place(version): version for code in kinds for version in templates.latest(transaction, code)}
        changed = [file for file in files if _place(file) not in stored or file.parts != stored[_place(file)].parts]
        for file in changed:
            templates.add_version(transaction, file)
    return len(changed)


def _place(version: TemplateVersion) -> tuple[str, str, str]:
    return version.code, version.channel, version.language
