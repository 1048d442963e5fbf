from __future__ import annotations

from pathlib import Path

import pytest

from carenotify.domain.kinds import KINDS
from carenotify.errors import WordingError
from carenotify.templates import load_template_files


def test_every_kind_has_a_wording_for_each_of_its_channels_in_the_same_languages() -> None:
    found: dict[tuple[str, str], set[str]] = {}
    for template in load_template_files():
        found.setdefault((template.code, template.channel), set()).add(template.language)

    for kind in KINDS.values():
        languages = [found[kind.template, channel] for channel in kind.channels]
        assert all({"en", "de"} <= each == languages[0] for each in languages)


def test_a_file_is_not_yet_stored() -> None:
    assert {(template.id, template.version) for template in load_template_files()} == {(None, 0)}


@pytest.mark.parametrize("name", ["sms.txt", "fax.en.txt", "sms.en.md", "readme"])
def test_a_file_of_another_name_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "greeting").mkdir()
    (tmp_path / "greeting" / name).write_text("hello")

    with pytest.raises(WordingError, match=f"greeting/{name} "):
        load_template_files(tmp_path)


def test_a_template_without_a_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "greeting").mkdir()
    (tmp_path / "greeting" / "email.de.html").write_text("<p>hello</p>")

    with pytest.raises(WordingError, match=r"template greeting, email in de: email\.de\.txt is missing"):
        load_template_files(tmp_path)


def test_a_mail_is_a_whole_page_with_its_subject_as_title(tmp_path: Path) -> None:
    (tmp_path / "greeting").mkdir()
    for ending, source in {"subject.txt": "Hello {{ name }}", "txt": "hello", "html": "<p>hello</p>"}.items():
        (tmp_path / "greeting" / f"email.de.{ending}").write_text(source)

    (template,) = load_template_files(tmp_path)

    assert template.html is not None
    assert template.html.startswith('<!DOCTYPE html>\n<html lang="de"')
    assert "<title>Hello {{ name }}</title>" in template.html
    assert "<main>\n<p>hello</p>\n</main>\n</body>\n</html>" in template.html
