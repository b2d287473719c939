"""The page of an analysis: the Markdown as HTML, with tables that are sorted and filtered in the browser."""

from __future__ import annotations

import re
from pathlib import Path

from paraisite.study.report_page import html_page

_STYLE = """
th[data-order] { cursor: pointer; user-select: none; }
th[data-order]::after { content: " ↕"; color: #aaa; }
th[data-order=up]::after { content: " ↑"; color: #222; }
th[data-order=down]::after { content: " ↓"; color: #222; }
th:focus-visible { outline: 2px solid #0059a0; }
input.filter { font: inherit; font-size: .85rem; margin-top: 1rem; padding: .15rem .4rem; width: 16rem; max-width: 100%; }
@media print { input.filter { display: none; } th[data-order]::after { content: ""; } }
"""
_SCRIPT = r"""
(function () {
  "use strict";
  function number(text) {
    var plain = text.replace(/\u2212/g, "-").replace(/^[<>]\s*/, "").trim();
    return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?(?=$|\s|%)/i.test(plain) ? parseFloat(plain) : NaN;
  }
  function compare(first, second, sign) {
    var a = number(first), b = number(second);
    if (isNaN(a) !== isNaN(b)) { return isNaN(a) ? 1 : -1; }  // what is no number comes last, up and down
    return sign * (isNaN(a) ? first.localeCompare(second, undefined, { numeric: true }) : a - b);
  }
  function sort(table, column, head) {
    var up = head.getAttribute("data-order") !== "up", body = table.tBodies[0];
    Array.from(table.tHead.rows[0].cells).forEach(function (cell) { cell.setAttribute("data-order", ""); });
    head.setAttribute("data-order", up ? "up" : "down");
    Array.from(body.rows).sort(function (a, b) {
      return compare(a.cells[column].textContent, b.cells[column].textContent, up ? 1 : -1);
    }).forEach(function (row) { body.appendChild(row); });
  }
  Array.from(document.querySelectorAll("main table")).forEach(function (table) {
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      head.setAttribute("data-order", "");
      head.setAttribute("tabindex", "0");
      head.addEventListener("click", function () { sort(table, column, head); });
      head.addEventListener("keydown", function (event) { if (event.key === "Enter") { sort(table, column, head); } });
    });
    if (table.tBodies.length === 0 || table.tBodies[0].rows.length < 8) { return; }
    var input = document.createElement("input");
    input.className = "filter";
    input.type = "search";
    input.placeholder = "show rows with …";
    input.setAttribute("aria-label", "Filter the rows of the table below");
    input.addEventListener("input", function () {
      var words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      Array.from(table.tBodies[0].rows).forEach(function (row) {
        var text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
      });
    });
    table.parentNode.insertBefore(input, table);
  });
})();
"""


def analysis_page(markdown: str, folder: Path) -> str:
    """Make a page that needs nothing else of a Markdown text; tables can be sorted, and long ones filtered.

    Args:
        markdown: The text; its first line is the title.
        folder: Folder that the text's pictures are relative to.
    """
    page, ending, rest = html_page(markdown, folder).rpartition("</body>")
    return f"{page}<style>{_STYLE}</style>\n<script>{_SCRIPT}</script>\n{ending}{rest}"


def plain_text(text: object) -> str:
    """A name of the user's, such as an identifier, so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_\[\]<>!&#~])", r"\\\1", " ".join(str(text).split()))
