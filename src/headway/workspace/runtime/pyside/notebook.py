"""Notebooks, in Databricks source format and as Jupyter's `.ipynb`: cells, magics, and how a run goes through them."""

import json
import os
import re
import time
import traceback
from dataclasses import dataclass
from typing import Any

from .kernel import CellFailed, Kernel, Secrets

HEADER = re.compile(r"^(#|--|//) Databricks notebook source\s*$")
LANGUAGES = {"PYTHON": "#", "SQL": "--", "SCALA": "//", "R": "#"}
ENDINGS = {".py": "PYTHON", ".sql": "SQL", ".scala": "SCALA", ".ipynb": "PYTHON"}


class NotebookExit(BaseException):
    """`dbutils.notebook.exit`."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value


@dataclass(frozen=True)
class Cell:
    """One cell. `magic` is `python`, `sql`, `md`, `run`, `pip`, …; `line` is where its text begins in the source."""

    magic: str
    text: str
    line: int


def cells(source: str, language: str) -> list[Cell]:
    """Split a notebook's source (its first line may be the header) into its cells; `.ipynb` is known by its JSON."""
    if source.lstrip().startswith("{") and '"cells"' in source:
        return jupyter_cells(source, language)
    mark = LANGUAGES[language]
    lines = source.splitlines()
    start = 1 if lines and HEADER.match(lines[0]) else 0
    found: list[Cell] = []
    block: list[str] = []
    first = start
    for number in range(start, len(lines) + 1):
        if number == len(lines) or re.match(rf"^{re.escape(mark)} COMMAND -+\s*$", lines[number]):
            found.extend(_cell(block, mark, language, first + 1))
            block, first = [], number + 1
        else:
            block.append(lines[number])
    return found


def jupyter_cells(source: str, language: str) -> list[Cell]:
    """The cells of an `.ipynb` (nbformat 4). Raise ValueError where it is not one."""
    try:
        read = json.loads(source)
        if int(read["nbformat"]) != 4:
            raise ValueError(f"nbformat {read['nbformat']} is not served, only 4")
        named = read.get("metadata", {}).get("language_info", {}).get("name") or language
        kind = {"python": "PYTHON", "sql": "SQL", "scala": "SCALA", "r": "R"}.get(str(named).lower(), language)
        found: list[Cell] = []
        line = 1
        for entry in read["cells"]:
            text = entry["source"] if isinstance(entry["source"], str) else "".join(entry["source"])
            if entry["cell_type"] == "markdown":
                found.append(Cell("md", text, line))
            elif entry["cell_type"] == "code":
                found.extend(_cell(text.splitlines(), LANGUAGES[kind], kind, line))
            line += text.count("\n") + 1
        return found
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"this is not a Jupyter notebook: {type(error).__name__}: {error}") from None


def _cell(block: list[str], mark: str, language: str, line: int) -> list[Cell]:
    while block and (not block[0].strip() or re.match(rf"^{re.escape(mark)} DBTITLE \d+,", block[0])):
        block, line = block[1:], line + 1
    if not "".join(block).strip():
        return []
    prefix = f"{mark} MAGIC"
    if all(text.startswith(prefix) or not text.strip() for text in block):
        block = [text[len(prefix) :].removeprefix(" ") for text in block]
    match = re.match(r"^%([\w-]+)(?:\s+|$)", block[0])
    if match is None:
        return [Cell(language.lower(), "\n".join(block), line)]
    rest = [block[0][match.end() :], *block[1:]]
    # A magic on a line of its own: the text begins on the next one.
    if not rest[0].strip():
        rest, line = rest[1:], line + 1
    return [Cell(match.group(1), "\n".join(rest).rstrip("\n"), line)]


class Notebook:
    """A notebook while it runs: one namespace, shared with what it includes by `%run`.

    `record` gets what each cell was and showed, for the run's export.
    """

    def __init__(self, kernel: Kernel, root: str) -> None:
        self.kernel, self.root = kernel, root
        self.record: list[dict[str, Any]] = []

    def run(self, path: str, language: str, source: str) -> None:
        """Run every cell in order."""
        found = cells(source, language)
        for number, cell in enumerate(found):
            entry: dict[str, Any] = {"magic": cell.magic, "text": cell.text, "state": "FINISHED", "outputs": []}
            self.record.append(entry)
            began = time.monotonic()
            entry["started_ms"] = int(time.time() * 1000)
            try:
                if cell.magic == "run":
                    self._include(cell.text, path)
                else:
                    self.kernel.execute(cell.magic, cell.text, path, cell.line)
            except NotebookExit as ended:
                entry["outputs"] = [{"kind": "text", "text": f"Notebook exited: {ended.value}\n"}]
                raise
            except BaseException as thrown:
                entry["state"] = "ERROR"
                entry["error"] = {"summary": f"{type(thrown).__name__}: {thrown}", "cause": _cause(thrown, path)}
                self.record.extend(
                    {"magic": rest.magic, "text": rest.text, "state": "SKIPPED", "outputs": []}
                    for rest in found[number + 1 :]
                )
                raise
            finally:
                entry["outputs"] = self.kernel.take_outputs() + entry["outputs"]
                entry["seconds"] = round(time.monotonic() - began, 3)

    def _include(self, text: str, path: str) -> None:
        """`%run ./other $name="value"`: its cells run here, with these widget values."""
        target, values = run_arguments(text)
        name, language, source = find_notebook(self.root, target, path)
        before = self.kernel.utilities.widgets.given(values)
        try:
            self.run(name, language, source)
        except NotebookExit:
            pass  # the included notebook has ended, not this one
        finally:
            self.kernel.utilities.widgets.give_back(before)


def _cause(thrown: BaseException, path: str) -> str:
    if isinstance(thrown, CellFailed):
        return thrown.trace
    from .frames import own_frames

    return "".join(traceback.format_exception(type(thrown), thrown, own_frames(thrown)))


def run_arguments(text: str) -> tuple[str, dict[str, str]]:
    """The notebook that `%run` names, and the widget values it gives (`$name="value"`). Raise ValueError."""
    match = re.match(r"""\s*(?:"([^"]+)"|'([^']+)'|(\S+))\s*""", text)
    if match is None:
        raise ValueError("%run needs the path of a notebook")
    target = match.group(1) or match.group(2) or match.group(3)
    rest, values = text[match.end() :], {}
    while rest.strip():
        pair = re.match(r"""\s*\$([\w.-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+))\s*""", rest)
        if pair is None:
            raise ValueError(f'%run {target}: parameters are written $name="value", not {rest.strip()}')
        quoted = pair.group(2) if pair.group(2) is not None else pair.group(3)
        values[pair.group(1)] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else pair.group(4)
        rest = rest[pair.end() :]
    return target, values


def find_notebook(root: str, target: str, path: str) -> tuple[str, str, str]:
    """Name, language and source of the notebook that `target` means in the notebook `path`."""
    absolute = target if target.startswith("/") else os.path.normpath(os.path.join(os.path.dirname(path), target))
    absolute = absolute.removeprefix("/Workspace")
    base = os.path.normpath(root + "/" + absolute)
    if not base.startswith(root + "/"):
        raise ValueError(f"{target}: outside the workspace")
    for ending, language in (("", None), *ENDINGS.items()):
        file = base + ending
        kind = language or ENDINGS.get(os.path.splitext(file)[1])
        if kind is not None and os.path.isfile(file):
            with open(file, encoding="utf-8") as source:
                return absolute, kind, source.read()
    raise FileNotFoundError(f"there is no notebook {absolute}")


def run(request: dict[str, Any], spark: Any, utilities: Any, secrets: Secrets) -> str | None:
    """Run a notebook to its end. Raise NotebookExit where it exits by itself, else what its code raised."""
    kernel = Kernel(spark, utilities, secrets, request["packages"])
    notebook = Notebook(kernel, request["roots"]["/Workspace"])
    if request["language"] not in ("PYTHON", "SQL", "SCALA"):
        raise NotImplementedError(f"{request['language']} notebooks are not served by this workspace")
    try:
        notebook.run(request["path"], request["language"], request["source"])
    except Exception as thrown:
        own = [frame for frame in traceback.extract_tb(thrown.__traceback__) if frame.filename == request["path"]]
        if own:
            thrown.add_note(f"in notebook {request['path']}, line {own[-1].lineno}")
        raise
    finally:
        draft = request["record"] + ".draft"
        with open(draft, "w", encoding="utf-8") as target:
            json.dump({"path": request["path"], "language": request["language"], "cells": notebook.record}, target)
        os.replace(draft, request["record"])
    return None
