"""Runs cells in one namespace: Python, SQL, Scala, shell, `%pip`, `%fs`. Notebooks and contexts share it."""

import ast
import html
import io
import linecache
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from . import results

REDACTED = "[REDACTED]"


class CellFailed(Exception):
    """A cell in a language other than Python failed. `trace` is what its language told."""

    def __init__(self, summary: str, trace: str) -> None:
        super().__init__(summary)
        self.trace = trace


class Secrets:
    """The secrets that this run has read: what it prints does not show them."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def add(self, value: str) -> None:
        """Do not show this from now on."""
        if value.strip():
            self._values.add(value)

    def redacted(self, text: str) -> str:
        """The text without them."""
        for value in self._values:
            text = text.replace(value, REDACTED)
        return text

    def redacted_output(self, found: Any) -> Any:
        """An output without them."""
        if not self._values:
            return found
        if isinstance(found, str):
            return self.redacted(found)
        if isinstance(found, dict):
            return {key: self.redacted_output(value) for key, value in found.items()}
        if isinstance(found, list):
            return [self.redacted_output(value) for value in found]
        return found


class Tee(io.TextIOBase):
    """A standard stream that also keeps what the present cell prints."""

    def __init__(self, target: Any, secrets: Secrets) -> None:
        self._target, self._secrets = target, secrets
        self.kept: list[str] = []
        self._length = 0

    encoding = "utf-8"
    errors = "replace"

    def write(self, text: str) -> int:
        """Print."""
        shown = self._secrets.redacted(text)
        self._target.write(shown)
        if self._length <= results.TEXT_LIMIT:
            self.kept.append(shown)
            self._length += len(shown)
        return len(text)

    def flush(self) -> None:
        """Reach the log."""
        self._target.flush()

    def fileno(self) -> int:
        """The descriptor behind it: programs that are started write there."""
        return int(self._target.fileno())

    def isatty(self) -> bool:
        """It is none."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True

    @property
    def buffer(self) -> Any:
        """The bytes behind it."""
        return self._target.buffer

    def take(self) -> str:
        """What was printed since the last time."""
        text = "".join(self.kept)
        self.kept.clear()
        self._length = 0
        return text


class Kernel:
    """One namespace. `outputs` are what the present cell has shown; `end_cell` takes them."""

    def __init__(self, spark: Any, utilities: Any, secrets: Secrets, pip_target: str) -> None:
        self.spark, self.utilities, self._secrets = spark, utilities, secrets
        self._pip_target = pip_target
        self._outputs: list[results.Output] = []
        self.out, self.err = Tee(sys.stdout, secrets), Tee(sys.stderr, secrets)
        sys.stdout, sys.stderr = self.out, self.err
        self.namespace: dict[str, Any] = {
            "__name__": "__main__",
            "spark": spark,
            "sc": spark.sparkContext,
            "dbutils": utilities,
            "display": self.display,
            "displayHTML": self.display_html,
            "sql": spark.sql,
            "table": spark.table,
            "getArgument": utilities.widgets.getArgument,
        }

    # what cells show

    def _take_text(self) -> None:
        printed = self.out.take() + self.err.take()
        if printed:
            self._outputs.append(results.text(printed))

    def _show(self, found: results.Output) -> None:
        """Into the log as text, and among the cell's outputs as what it is."""
        self._take_text()
        self.out.write(results.printed(found))
        self.out.take()
        self._outputs.append(self._secrets.redacted_output(found))

    def display(self, value: Any = None, *_: Any, **__: Any) -> None:
        """`display`: a table, a figure, HTML, else its text."""
        found = results.shown(value)
        if found is None:
            self.out.write(f"{value}\n")
        else:
            self._show(found)

    def display_html(self, value: Any, *_: Any, **__: Any) -> None:
        """`displayHTML`."""
        self._show({"kind": "html", "html": str(value)})

    def take_outputs(self) -> list[results.Output]:
        """What was shown since the last time."""
        for found in results.figures():
            self._show(found)
        self._take_text()
        outputs, self._outputs = self._outputs, []
        return outputs

    # languages

    def execute(self, magic: str, text: str, name: str, line: int = 1) -> None:
        """Run a cell. `name` and `line` say where it stands. Raise what it raises."""
        runs: Mapping[str, Callable[[], None]] = {
            "python": lambda: self.python(text, name, line),
            "py": lambda: self.python(text, name, line),
            "sql": lambda: self.sql(text),
            "scala": lambda: self.scala(text),
            "sh": lambda: self.shell(text),
            "pip": lambda: self.pip(text),
            "fs": lambda: self.fs(text),
            "md": lambda: None,
            "md-sandbox": lambda: None,
        }
        if magic not in runs:
            raise NotImplementedError(f"{name}, line {line}: %{magic} cells are not served by this workspace")
        runs[magic]()

    def python(self, text: str, name: str, line: int = 1) -> None:
        """Python; the value of a last expression is shown."""
        # The blank lines before make line numbers in tracebacks those of the notebook's source.
        source = "\n" * (line - 1) + text
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        tree = ast.parse(source, filename=name)
        last = tree.body[-1] if tree.body else None
        if not isinstance(last, ast.Expr) or text.rstrip().endswith(";"):
            exec(compile(tree, name, "exec"), self.namespace)  # noqa: S102  (running it is the task)
            return
        tree.body.pop()
        exec(compile(tree, name, "exec"), self.namespace)  # noqa: S102
        value = eval(compile(ast.Expression(last.value), name, "eval"), self.namespace)  # noqa: S307
        if value is None:
            return
        frame = type(value).__module__.startswith("pyspark.")  # a DataFrame is lazy: it is shown by its type only
        found = None if frame else results.shown(value)
        if found is None:
            self.out.write(f"{value!r}\n")
        else:
            self._show(found)

    def sql(self, text: str) -> None:
        """SQL statements; the last one's rows are shown and become `_sqldf`."""
        frame = None
        for statement in statements(text):
            frame = self.spark.sql(with_widgets(statement, self.utilities.widgets.getAll()))
        if frame is not None and frame.columns:
            self.namespace["_sqldf"] = frame
            self._show(results.table(frame))

    def scala(self, text: str) -> None:
        """Scala, in the interpreter that this run has in the JVM; raise CellFailed, or what ended the notebook."""
        from .notebook import NotebookExit

        run = self.spark.sparkContext._gateway.entry_point
        self.out.flush()
        widgets = self.utilities.widgets.getAll()
        answer = run.scala(text, list_of(self.spark, [part for pair in widgets.items() for part in pair]))
        told = {key: answer.get(key) for key in ("state", "printed", "error", "trace", "table", "html", "exit")}
        if told["printed"]:
            self._outputs.append(results.text(self._secrets.redacted(told["printed"])))
        for shown in answer.get("shown"):
            if shown.get("kind") == "html":
                self._show({"kind": "html", "html": shown.get("html")})
            else:
                from pyspark.sql import DataFrame

                self._show(results.table(DataFrame(shown.get("frame"), self.spark)))
        if told["state"] == "EXIT":
            raise NotebookExit(told["exit"])
        if told["state"] != "SUCCESS":
            raise CellFailed(told["error"], told["trace"])

    def shell(self, text: str) -> None:
        """`%sh`: the cell fails where its last command does."""
        status = self._program(["/bin/bash", "-c", text])
        if status:
            raise CellFailed(f"the command failed with status {status}", "")

    def pip(self, text: str) -> None:
        """`%pip`: `install` goes to a folder of this run's own, never into the runtime."""
        words = shlex.split(text)
        if not words:
            return
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
        if words[0] == "install":
            chosen = {"--target", "-t", "--user", "--prefix", "--root"} & set(words)
            if chosen:
                raise CellFailed(f"%pip install {chosen.pop()}: packages go to the run's own folder here", "")
            words = ["install", "--target", self._pip_target, "--upgrade", *self.constraints(), *words[1:]]
        elif words[0] == "uninstall":
            raise CellFailed(
                "%pip uninstall: the runtime's packages are shared and stay; the run's own end with it", ""
            )
        status = self._program([*pip, *words])
        if status:
            raise CellFailed(f"pip failed with status {status}", "")
        import importlib

        importlib.invalidate_caches()

    def constraints(self) -> list[str]:
        """What keeps pip from putting another Spark, pandas, … before the runtime's."""
        from .packages import constraints_file

        return ["--constraint", constraints_file(self._pip_target)]

    def _program(self, command: list[str]) -> int:
        """Run a program; what it prints is the cell's text as it comes."""
        import os

        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(
            part for part in (self._pip_target, environment.get("PYTHONPATH")) if part
        )
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
        assert process.stdout is not None  # noqa: S101  (asked for)
        with process.stdout as printed:
            for line in iter(printed.readline, b""):
                self.out.write(line.decode("utf-8", "replace"))
        return process.wait()

    def fs(self, text: str) -> None:
        """`%fs ls /path` and the other commands of `dbutils.fs`."""
        words = shlex.split(text)
        command = getattr(self.utilities.fs, words[0]) if words else None
        if not callable(command) or words[0].startswith("_"):
            raise CellFailed(f"%fs {text}: no such command", "")
        recurse = {"-r", "--recurse"} & set(words)
        value = command(*(word for word in words[1:] if word not in recurse), **({"recurse": True} if recurse else {}))
        self.display(value)


def list_of(spark: Any, values: list[str]) -> Any:
    """A java.util.List of texts."""
    found = spark._jvm.java.util.ArrayList()
    for value in values:
        found.add(value)
    return found


def statements(text: str) -> list[str]:
    """Statements apart at the semicolons between them: not at those in strings, names and comments."""
    found: list[str] = []
    start, at = 0, 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is not None:
            at = token.end()
        elif text[at] == ";":
            found.append(text[start:at])
            start = at = at + 1
        else:
            at += 1
    found.append(text[start:])
    return [part for part in (piece.strip() for piece in found) if part and not _ONLY_COMMENTS.fullmatch(part)]


_COMMENT = r"--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$)"
_TOKEN = re.compile(rf"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|{_COMMENT}", re.DOTALL)
_ONLY_COMMENTS = re.compile(rf"(?:\s|{_COMMENT})*", re.DOTALL)


def with_widgets(statement: str, values: Mapping[str, str]) -> str:
    """`${name}`, `$name` and `getArgument("name")` as Databricks puts widget values into SQL cells."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2) or match.group(4)
        if name not in values:
            return match.group(0)
        return values[name] if match.group(4) is None else "'" + values[name].replace("'", "\\'") + "'"

    return re.sub(r"\$\{(\w+)\}|\$(\w+)|getArgument\((['\"])(\w+)\3\)", value, statement)


def markdown(text: str) -> str:
    """The text of an `%md` cell, safe to stand in a page as it is."""
    return html.escape(text)
