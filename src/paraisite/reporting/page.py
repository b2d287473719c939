"""A report's Markdown as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt


def html_page(markdown: str, folder: Path, *, interactive: bool = False) -> str:
    """Make a page of a Markdown text: style inside, pictures embedded, nothing from the network.

    Args:
        markdown: The text; its first line is the title.
        folder: Folder that the text's pictures are relative to.
        interactive: Whether tables can be sorted, and long ones filtered, in the browser.
    """
    text = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    anchors: dict[str, str] = {}
    text = re.sub(r"<h2>(.*?)</h2>", lambda match: _anchored(match.group(1), anchors), text)
    text = re.sub(r'<img src="([^"]+\.png)"', lambda match: f'<img src="{_embedded(folder / match.group(1))}"', text)
    title = markdown.splitlines()[0].lstrip("# ")
    template = _templates().get_template("page.html")
    return template.render(title=title, anchors=anchors, text=text, interactive=interactive)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("paraisite.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def _anchored(name: str, anchors: dict[str, str]) -> str:
    anchor = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    anchors[anchor] = name
    return f'<h2 id="{anchor}">{name}</h2>'


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
