"""The wordings that come with carenotify: `<code>/<channel>.<language>.{subject.txt,txt,html}`.

An html file holds what stands in the page's `<main>`. `_frame.html` is put around it when it is loaded, so that a
stored version is a whole page, which a later frame does not change.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template

from carenotify.domain.notification import Channel
from carenotify.domain.wording import TemplateVersion
from carenotify.errors import WordingError

_PARTS = {"subject.txt": "subject", "txt": "text", "html": "html"}


def load_template_files(folder: Traversable | None = None) -> list[TemplateVersion]:
    """Every template in the folder (default: the package's own), not yet stored: id None, version 0.

    Raises WordingError naming a file that has another form of name, or a template without a text.
    """
    codes = sorted((item for item in (folder or files(__package__)).iterdir() if _is_code(item)), key=_name)
    return [template for code in codes for template in _load_code(code)]


def _is_code(item: Traversable) -> bool:
    return item.is_dir() and not item.name.startswith(("_", "."))


def _name(item: Traversable) -> str:
    return item.name


def _load_code(folder: Traversable) -> list[TemplateVersion]:
    sources: dict[tuple[Channel, str], dict[str, str]] = {}
    for file in sorted(folder.iterdir(), key=_name):
        channel, language, part = _parse_name(folder.name, file.name)
        sources.setdefault((channel, language), {})[part] = file.read_text(encoding="utf-8").rstrip("\n")
    return [_template(folder.name, channel, language, parts) for (channel, language), parts in sources.items()]


def _parse_name(code: str, name: str) -> tuple[Channel, str, str]:
    channel, _, rest = name.partition(".")
    language, _, ending = rest.partition(".")
    if channel not in list(Channel) or not language or ending not in _PARTS:
        raise WordingError(f"template file {code}/{name} is not called <channel>.<language>.subject.txt, .txt or .html")
    return Channel(channel), language, _PARTS[ending]


def _template(code: str, channel: Channel, language: str, parts: dict[str, str]) -> TemplateVersion:
    if "text" not in parts:
        raise WordingError(f"template {code}, {channel} in {language}: {channel}.{language}.txt is missing")
    html = _page(language, parts) if "html" in parts else None
    return TemplateVersion(
        id=None,
        code=code,
        channel=channel,
        language=language,
        version=0,
        subject=parts.get("subject"),
        text=parts["text"],
        html=html,
    )


def _page(language: str, parts: dict[str, str]) -> str:
    """The whole page; its title is worded as the subject is."""
    frame = Template(files(__package__).joinpath("_frame.html").read_text(encoding="utf-8").rstrip("\n"))
    return frame.substitute(language=language, title=parts.get("subject", ""), content=parts["html"])
