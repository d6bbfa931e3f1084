"""What a run says, written down while it says it: steps, log lines, tests. Secrets are masked on the way."""

import logging
import re
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from headway.core.errors import HeadwayError
from headway.core.events import Event, LogLine, Planned, Progress, StepFinished, StepStarted, TestsReported
from headway.pipeline.database import storable
from headway.pipeline.model import Run, StepState, TestCase
from headway.pipeline.runs import RunStore

logger = logging.getLogger(__name__)
FLUSH_SECONDS = 0.25
CHUNK_CHARACTERS = 32_000
_SHORTEST_SECRET = 6
_PLAN_CHARACTERS = 2_000_000


class Mask:
    """Replaces secrets in text. Values of fewer than six characters are words, and left alone."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = frozenset(secrets)
        values = {
            part for value in self._secrets for part in (value, *value.splitlines()) if len(part) >= _SHORTEST_SECRET
        }
        found = sorted(values, key=len, reverse=True)
        self._pattern = re.compile("|".join(re.escape(value) for value in found)) if found else None

    def also(self, secrets: Iterable[str]) -> "Mask":
        """One that replaces these too."""
        return Mask(self._secrets.union(secrets))

    def __call__(self, text: str) -> str:
        """The text without them."""
        clean = storable(text)
        return self._pattern.sub("***", clean) if self._pattern else clean


class Recorder:
    """The `Emit` of a run, as a context: what is pending is written at its end. Threads may share it."""

    def __init__(self, runs: RunStore, run: Run, mask: Mask) -> None:
        self._runs, self._run, self._mask = runs, run, mask
        self._lock = threading.Lock()
        self._step: int | None = None
        self._chunk = 0
        self._lines: list[str] = []
        self._size = 0
        self._data: dict[str, Any] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._flush_now_and_then, daemon=True)

    def __enter__(self) -> "Recorder":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        with self._lock:
            self._flush()

    def __call__(self, event: Event) -> None:
        """Write an event down."""
        with self._lock:
            match event:
                case StepStarted(step, what, environment):
                    self._flush()
                    self._step = self._runs.begin_step(self._run, step, environment, self._mask(what))
                    self._chunk, self._data = 0, {}
                case StepFinished(_, outcome, seconds, detail, _):
                    self._end(outcome, seconds, self._mask(detail))
                case Progress(message):
                    self._line(message)
                case LogLine(source, text):
                    self._line(f"{source}| {text}")
                case Planned(data, text):
                    self._data["text"] = text
                    if len(text) < _PLAN_CHARACTERS:
                        self._data["plan"] = dict(data)
                case TestsReported(step, cases):
                    mask = self._mask
                    kept = [
                        TestCase(
                            self._run.id,
                            step,
                            mask(case.class_name),
                            mask(case.name),
                            case.outcome,
                            case.seconds,
                            mask(case.message),
                            mask(case.text),
                        )
                        for case in cases
                    ]
                    self._runs.keep_tests(self._run.id, step, kept)

    def attach(self, data: Mapping[str, Any]) -> None:
        """Add evidence to the newest step."""
        with self._lock:
            steps = self._runs.steps(self._run.id)
            if steps:
                newest = steps[-1]
                merged = {**newest.data, **data}
                self._runs.end_step(self._run, newest.number, newest.state, newest.seconds, newest.detail, merged)

    def _end(self, state: StepState, seconds: float, detail: str) -> None:
        self._flush()
        if self._step is not None:
            self._runs.end_step(self._run, self._step, state, seconds, detail, self._data)
        self._step = None

    def _line(self, text: str) -> None:
        masked = self._mask(text)
        self._lines.append(masked)
        self._size += len(masked)
        if self._size > CHUNK_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._step is None:
            return
        if self._lines:
            self._runs.append_log(self._run, self._step, [(self._chunk, "\n".join(self._lines))])
            self._chunk += 1
        self._lines, self._size = [], 0

    def _flush_now_and_then(self) -> None:
        while not self._ended.wait(FLUSH_SECONDS):
            try:
                with self._lock:
                    self._flush()
            except HeadwayError as error:  # the lines are kept: the next look writes them
                logger.warning("lines of run %s wait for the database: %s", self._run.id, error.message)
