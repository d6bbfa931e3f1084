"""Drift, asked for by the clock and by people."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from headway.core.errors import HeadwayError
from headway.core.ledger import EnvironmentState
from headway.pipeline import drift
from headway.pipeline.database import now_ms
from headway.pipeline.drift import DriftWatch
from headway.pipeline.model import App, EnvironmentView, Run
from support.served_workspace import until


def view(serial: int, drifted: tuple[str, ...] | None, problem: str = "") -> EnvironmentView:
    """Production."""
    state = EnvironmentState(version="1.0.1", serial=serial)
    return EnvironmentView("production", None, "https://w", False, state, drifted, problem, None)


@dataclass
class Workspaces:
    """Stands for the service: what its workspaces say by application."""

    views: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)

    def list_runs(self, app: str, *, limit: int) -> list[Run]:
        """The newest one."""
        return [self.runs[app]] if app in self.runs else []

    def list_apps(self) -> list[App]:
        """Those."""
        return [App(name, "") for name in self.views]

    def environments(self, name: str, *, drift: bool = False) -> list[EnvironmentView]:
        """What was said."""
        self.asked.append(name)
        if isinstance(self.views[name], Exception):
            raise self.views[name]
        return list(self.views[name])


def test_what_was_found_holds_for_the_state_that_it_was_found_of() -> None:
    service = Workspaces({"scores": [view(3, ("score",))]})
    watch = DriftWatch(service, 0)  # type: ignore[arg-type]
    assert watch.shown("scores", [view(3, None)])[0].drifted is None
    assert watch.check("scores").count == 1
    assert watch.shown("scores", [view(3, None)])[0].drifted == ("score",)
    assert watch.shown("scores", [view(4, None)])[0].drifted is None
    assert list(watch.counts()) == [("scores", "production", 1)]
    service.views["scores"] = [view(3, None, "it does not answer")]
    watch.check("scores")
    assert watch.shown("scores", [view(3, None)])[0].problem == "it does not answer"
    assert list(watch.counts()) == []


def test_every_application_is_asked_by_itself_though_one_cannot_be(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(drift, "_LOOK_SECONDS", 0.01)
    away = HeadwayError("STORE_UNREACHABLE", url="s3://x", reason="away")
    service = Workspaces({"broken": away, "new": [], "scores": [view(3, ("score", "train"))]})
    watch = DriftWatch(service, 60)  # type: ignore[arg-type]
    watch.start()
    until(lambda: watch.known("scores") and service.asked.count("new") > 2)
    service.runs["scores"] = Run(1, "scores", "line", "a", "main", "", "", "push", "", "delivering", now_ms())
    looked = service.asked.count("new")
    until(lambda: service.asked.count("new") > looked + 2)
    assert service.asked.count("scores") == 1
    service.runs["scores"] = replace(service.runs["scores"], state="succeeded", ended_ms=now_ms() + 60_000)
    service.views["scores"] = [view(5, ())]
    until(lambda: watch.shown("scores", [view(5, None)])[0].drifted == ())
    del service.views["scores"]
    until(lambda: watch.known("scores") is None)
    watch.stop()
    assert service.asked.count("broken") == 1
    assert "jobs of scores were changed by hand: production: score, train" in caplog.text


def test_nobody_is_asked_where_that_is_switched_off() -> None:
    watch = DriftWatch(Workspaces({"scores": [view(1, ())]}), 0)  # type: ignore[arg-type]
    watch.start()
    watch.stop()
    assert watch.known("scores") is None
