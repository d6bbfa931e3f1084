"""A notebook's run as a page of HTML: its cells and what each of them showed. Pure.

What users wrote is escaped; HTML that a cell showed stands in a frame of its own that reaches nothing around it.
"""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

Entry = Mapping[str, Any]

_LEXERS = {"python": "python", "py": "python", "sql": "sql", "scala": "scala", "sh": "bash", "r": "r"}
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24}
header{border-bottom:1px solid #d0d7de;margin-bottom:1rem}
section{margin:1rem 0;border-left:3px solid #d0d7de;padding-left:1rem}
section.ERROR{border-color:#cf222e}section.SKIPPED{opacity:.5}
pre{background:#f6f8fa;padding:.6rem;overflow:auto;border-radius:4px}
pre.out{background:none;border:1px solid #eaeef2}pre.error{color:#cf222e}
table{border-collapse:collapse;font-size:13px}th,td{border:1px solid #d0d7de;padding:.2rem .5rem;text-align:left}
img{max-width:100%}iframe{width:100%;min-height:12rem;border:1px solid #eaeef2}small{color:#656d76}
"""


def entries(lines: Iterable[str]) -> tuple[Entry, list[Entry]]:
    """What a run's record (JSON lines) holds: the notebook, its cells. A last line that was cut short is left out."""
    found: list[Entry] = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    head = found[0] if found else {"path": "", "language": "PYTHON"}
    return head, found[1:]


def page(title: str, state: str, cells: Sequence[Entry]) -> str:
    """The page."""
    colours = HtmlFormatter().get_style_defs("pre")
    body = "\n".join(_cell(cell) for cell in cells)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}{colours}</style></head>\n<body><header><h1>{html.escape(title)}</h1>"
        f"<p>{html.escape(state)}</p></header>\n{body}\n</body></html>\n"
    )


def _cell(cell: Entry) -> str:
    magic, state = str(cell["magic"]), str(cell.get("state", "FINISHED"))
    if magic.startswith("md"):
        written = MarkdownIt("commonmark", {"html": False}).enable("table").render(str(cell["text"]))
        return f"<section>{written}</section>"
    took = f"<small>%{html.escape(magic)} · {state.lower()}"
    took += f" · {cell['seconds']} s</small>" if "seconds" in cell else "</small>"
    shown = "".join(_output(found) for found in cell.get("outputs", ()))
    error = cell.get("error")
    if error:
        told = error.get("cause") or error.get("summary") or ""
        shown += f'<pre class="out error">{html.escape(told)}</pre>'
    return f'<section class="{html.escape(state)}">{_code(magic, str(cell["text"]))}{shown}{took}</section>'


def _code(magic: str, text: str) -> str:
    lexer = get_lexer_by_name(_LEXERS.get(magic, "text"))
    return f"<pre>{highlight(text, lexer, HtmlFormatter(nowrap=True))}</pre>"


def _output(found: Entry) -> str:
    match found["kind"]:
        case "text":
            more = "\n…" if found.get("truncated") else ""
            return f'<pre class="out">{html.escape(found["text"])}{more}</pre>'
        case "table":
            head = "".join(f"<th>{html.escape(str(column['name']))}</th>" for column in found["columns"])
            rows = "".join("<tr>" + "".join(map(_value, row)) + "</tr>" for row in found["rows"])
            more = "<small>only the first rows are shown</small>" if found.get("truncated") else ""
            return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"
        case "image":
            return f'<img alt="a figure" src="data:image/png;base64,{html.escape(found["png"])}">'
        case _:
            framed = html.escape(found.get("html", ""), quote=True)
            return f'<iframe sandbox="allow-scripts" srcdoc="{framed}"></iframe>'


def _value(value: Any) -> str:
    if value is None:
        return "<td><i>null</i></td>"
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"<td>{html.escape(shown)}</td>"
