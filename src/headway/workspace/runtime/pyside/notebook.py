"""Notebooks in Databricks source format: cells, magics, and how a run goes through them."""

import ast
import os
import re
import subprocess
import sys
import traceback
from dataclasses import dataclass
from typing import Any

HEADER = re.compile(r"^(#|--|//) Databricks notebook source\s*$")
LANGUAGES = {"PYTHON": "#", "SQL": "--", "SCALA": "//", "R": "#"}


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
    """Split a notebook's source (its first line may be the header) into its cells."""
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


def _cell(block: list[str], mark: str, language: str, line: int) -> list[Cell]:
    while block and not block[0].strip():
        block, line = block[1:], line + 1
    if not "".join(block).strip():
        return []
    prefix = f"{mark} MAGIC"
    if all(text.startswith(prefix) or not text.strip() for text in block):
        block = [text[len(prefix) :].removeprefix(" ") for text in block]
    match = re.match(r"^%(\w+)(?:\s+|$)", block[0])
    if match is None:
        return [Cell(language.lower(), "\n".join(block), line)]
    rest = [block[0][match.end() :], *block[1:]]
    return [Cell(match.group(1), "\n".join(rest).strip("\n"), line)]


class Notebook:
    """A notebook while it runs: one namespace, shared with what it includes by `%run`."""

    def __init__(self, request: dict[str, Any], spark: Any, utilities: Any) -> None:
        self.root = request["roots"]["/Workspace"]
        self.spark = spark
        self.namespace: dict[str, Any] = {
            "__name__": "__main__",
            "spark": spark,
            "sc": spark.sparkContext,
            "dbutils": utilities,
            "display": display,
            "displayHTML": print,
            "sql": spark.sql,
        }

    def run(self, path: str, language: str, source: str) -> None:
        """Run every cell in order."""
        for cell in cells(source, language):
            self._run_cell(cell, path)

    def _run_cell(self, cell: Cell, path: str) -> None:
        match cell.magic:
            case "python" | "py":
                self._python(cell, path)
            case "sql":
                self._sql(cell.text)
            case "md" | "md-sandbox":
                pass
            case "run":
                self._include(cell.text.strip().strip("\"'"), path)
            case "pip":
                subprocess.run([sys.executable, "-m", "pip", *cell.text.split()], check=True)
            case "sh":
                subprocess.run(["/bin/bash", "-c", cell.text], check=True)
            case "fs":
                command, *arguments = cell.text.split()
                display(getattr(self.namespace["dbutils"].fs, command)(*arguments))
            case other:
                raise NotImplementedError(f"{path}, line {cell.line}: %{other} cells are not served by this workspace")

    def _python(self, cell: Cell, path: str) -> None:
        # The blank lines before make line numbers in tracebacks those of the notebook's source.
        tree = ast.parse("\n" * (cell.line - 1) + cell.text, filename=path)
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            tree.body.pop()
            exec(compile(tree, path, "exec"), self.namespace)  # noqa: S102  (running it is the task)
            value = eval(compile(ast.Expression(last.value), path, "eval"), self.namespace)  # noqa: S307
            if value is not None:
                print(repr(value))  # noqa: T201
        else:
            exec(compile(tree, path, "exec"), self.namespace)  # noqa: S102

    def _sql(self, text: str) -> None:
        result = None
        for statement in _statements(text):
            result = self.spark.sql(_with_widgets(statement, self.namespace["dbutils"].widgets.getAll()))
        if result is not None and result.columns:
            self.namespace["_sqldf"] = result
            display(result)

    def _include(self, target: str, path: str) -> None:
        absolute = target if target.startswith("/") else os.path.normpath(os.path.join(os.path.dirname(path), target))
        base = os.path.normpath(self.root + "/" + absolute.removeprefix("/Workspace"))
        if not base.startswith(self.root + "/"):
            raise ValueError(f"%run {target}: outside the workspace")
        for ending, language in ((".py", "PYTHON"), (".sql", "SQL")):
            if os.path.isfile(base + ending):
                with open(base + ending, encoding="utf-8") as source:
                    self.run(absolute, language, source.read())
                return
        raise FileNotFoundError(f"%run {target}: there is no Python or SQL notebook {absolute}")


def _statements(text: str) -> list[str]:
    """Statements apart at semicolons that end a line: one inside a string literal does not."""
    return [part for part in (piece.strip() for piece in re.split(r";[ \t]*(?:\n|$)", text)) if part]


def _with_widgets(statement: str, values: dict[str, str]) -> str:
    """`${name}` and `$name` as Databricks puts widget values into SQL cells."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        return values.get(name, match.group(0))

    return re.sub(r"\$\{(\w+)\}|\$(\w+)", value, statement)


def display(value: Any, *_: Any, **__: Any) -> None:
    """Print what a notebook shows: a DataFrame as its first rows, anything else as it prints."""
    if hasattr(value, "show") and hasattr(value, "limit"):
        value.show(20, False)
    else:
        print(value)  # noqa: T201


def run(request: dict[str, Any], spark: Any, utilities: Any) -> str | None:
    """Run a notebook to its end. Raise NotebookExit where it exits by itself, else what its code raised."""
    notebook = Notebook(request, spark, utilities)
    if request["language"] not in ("PYTHON", "SQL"):
        raise NotImplementedError(f"{request['language']} notebooks are not served by this workspace")
    try:
        notebook.run(request["path"], request["language"], request["source"])
    except Exception as thrown:
        own = [frame for frame in traceback.extract_tb(thrown.__traceback__) if frame.filename == request["path"]]
        if own:
            thrown.add_note(f"in notebook {request['path']}, line {own[-1].lineno}")
        raise
    return None
