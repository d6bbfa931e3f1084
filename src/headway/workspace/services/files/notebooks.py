"""Notebooks from one format to another: Databricks source, Jupyter, HTML. Pure.

Source: Databricks, "Notebook formats"; nbformat 4 (cells, `metadata.language_info`).
"""

import html
import json
from typing import Any

from headway.workspace.errors import invalid

COMMENTS = {"PYTHON": "#", "SQL": "--", "SCALA": "//", "R": "#"}
_HEADER = "Databricks notebook source"
_SEPARATOR = "COMMAND ----------"
_MAGICS = {"PYTHON": "%python", "SQL": "%sql", "SCALA": "%scala", "R": "%r"}


def from_jupyter(content: bytes) -> tuple[str, bytes]:
    """The language and the source of a Jupyter notebook; its outputs are left out. Raise ApiError."""
    try:
        notebook = json.loads(content)
        cells = notebook["cells"]
        metadata = notebook.get("metadata") or {}
        named = (metadata.get("language_info") or {}).get("name") or (metadata.get("kernelspec") or {}).get("language")
        language = str(named or "python").upper()
        if language not in COMMENTS:
            raise invalid(f"The notebook's language is {language}; it must be one of {', '.join(COMMENTS)}")
        parts = [_cell_source(cell, COMMENTS[language]) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise invalid(f"The content is not a Jupyter notebook: {type(error).__name__}") from None
    comment = COMMENTS[language]
    body = f"\n\n{comment} {_SEPARATOR}\n\n".join(parts)
    return language, f"{comment} {_HEADER}\n{body}\n".encode()


def _cell_source(cell: dict[str, Any], comment: str) -> str:
    source = cell.get("source", "")
    text = "".join(source) if isinstance(source, list) else str(source)
    if cell["cell_type"] == "markdown":
        text = f"%md\n{text}"
    elif cell["cell_type"] == "raw":
        text = f"%raw\n{text}"
    if not text.startswith("%"):
        return text
    return "\n".join(f"{comment} MAGIC {line}".rstrip() for line in text.splitlines())


def cells(source: str, language: str) -> list[tuple[str, str]]:
    """The cells of a notebook in Databricks source format: `code` or `markdown`, and the text."""
    comment = COMMENTS[language]
    lines = source.splitlines()
    if lines and lines[0].strip() == f"{comment} {_HEADER}":
        lines = lines[1:]
    parts: list[list[str]] = [[]]
    for line in lines:
        if line.strip() == f"{comment} {_SEPARATOR}":
            parts.append([])
        else:
            parts[-1].append(line)
    return [_cell("\n".join(part).strip("\n"), comment) for part in parts]


def _cell(text: str, comment: str) -> tuple[str, str]:
    magic = f"{comment} MAGIC"
    if not text.startswith(magic):
        return "code", text
    bare = "\n".join(line.removeprefix(magic).removeprefix(" ") for line in text.splitlines())
    first, _, rest = bare.partition("\n")
    if first.strip() == "%md":
        return "markdown", rest
    return ("markdown", bare.removeprefix("%md ")) if bare.startswith("%md ") else ("code", bare)


def to_jupyter(source: str, language: str) -> bytes:
    """The same notebook for Jupyter."""
    name = language.lower()
    found: list[dict[str, Any]] = [
        {
            "cell_type": kind,
            "metadata": {},
            "source": text.splitlines(keepends=True),
            **({"execution_count": None, "outputs": []} if kind == "code" else {}),
        }
        for kind, text in cells(source, language)
    ]
    metadata = {"language_info": {"name": name}, "kernelspec": {"display_name": name, "language": name, "name": name}}
    return json.dumps({"cells": found, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}, indent=1).encode()


def to_html(source: str, language: str, title: str) -> bytes:
    """The same notebook to look at; code as text, nothing of it is run."""
    body = "\n".join(
        f"<pre class='{kind}'><code>{html.escape(text)}</code></pre>" for kind, text in cells(source, language)
    )
    return (
        f"<!DOCTYPE html>\n<html><head><meta charset='utf-8'><title>{html.escape(title)}</title></head>\n"
        f"<body><h1>{html.escape(title)}</h1>\n{body}\n</body></html>\n"
    ).encode()
