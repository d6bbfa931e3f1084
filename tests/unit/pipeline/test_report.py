"""The report as data: what programs and spreadsheets get, and how a workspace's clusters are read."""

import csv
import io
from typing import Any

from headway.core.errors import HeadwayError
from headway.pipeline.costs import Prices, Span
from headway.pipeline.dora import DAY_MS
from headway.pipeline.model import DeploymentRecord
from headway.pipeline.report import Reporter, uses
from headway.pipeline.workspaces import Workspace, Workspaces

NOW = 1_800_000_000_000
HOUR = 3_600_000


class FakeWorkspace(Workspace):
    """Answers from a table."""

    def _call(self, method: str, path: str, **given: Any) -> Any:
        if path == "/api/2.1/clusters/list":
            return {"clusters": CLUSTERS}
        if path == "/api/2.2/jobs/runs/list":
            return {"runs": [{"run_id": 7, "job_id": 1, "run_name": "score"}]}
        assert given["json"]["cluster_id"] == "c1"
        reason = {"reason": {"code": "INACTIVITY"}}
        return {
            "events": [
                {"type": "CREATING", "timestamp": NOW - 10 * HOUR, "details": {}},
                {"type": "TERMINATING", "timestamp": NOW - 6 * HOUR, "details": reason},
            ]
        }


class FakeWorkspaces(Workspaces):
    """Opens that one."""

    def own(self) -> Workspace:
        return FakeWorkspace("http://workspace", "token")


CLUSTERS = [
    {
        "cluster_id": "c1",
        "cluster_name": "notebooks",
        "cluster_source": "UI",
        "node_type_id": "small",
        "num_workers": 1,
    },
    {
        "cluster_id": "c2",
        "cluster_name": "job-run-7-main",
        "cluster_source": "JOB",
        "node_type_id": "small",
        "start_time": NOW - 4 * HOUR,
        "terminated_time": NOW - 3 * HOUR,
        "termination_reason": {"code": "JOB_FINISHED"},
    },
    {"cluster_id": "c3", "cluster_source": "JOB", "terminated_time": NOW - 400 * DAY_MS},
]


def records(app: str | None) -> list[DeploymentRecord]:
    return [
        DeploymentRecord(
            1, app or "=SUM(A1)", "production", 3, "1.0.1", "converged", NOW - 9 * HOUR, NOW - HOUR, NOW - HOUR
        )
    ]


def reporter(workspaces: Workspaces) -> Reporter:
    return Reporter(records, workspaces, Prices("EUR", {"small": 0.5}), lambda: NOW)


def test_clusters_are_read_with_their_jobs_and_their_events() -> None:
    found = uses(FakeWorkspace("", ""), NOW - 30 * DAY_MS)
    assert [(entry.group, entry.per_run) for entry in found] == [("notebooks (c1)", False), ("score / main", True)]
    assert found[0].spans == (Span(NOW - 10 * HOUR, NOW - 6 * HOUR, 2, "INACTIVITY"),)
    assert found[1].spans == (Span(NOW - 4 * HOUR, NOW - 3 * HOUR, 1, "JOB_FINISHED"),)


def test_the_report_as_data() -> None:
    data = reporter(FakeWorkspaces(None, {})).report("scoring", 7).to_json()
    (place,) = data["delivery"]
    assert (place["app"], place["environment"], place["lead_seconds"]) == ("scoring", "production", 8 * 3600)
    assert sum(bucket["stood"] for bucket in place["over_time"]) == 1
    assert (data["clusters"]["hours"], data["clusters"]["cost"], data["clusters"]["idle_ends"]) == (9.0, 4.5, 1)
    assert data["clusters"]["saved_share"] == (20 + 4 - 9) / 24
    assert data["since"] < data["until"]


def test_the_report_as_csv_is_one_figure_a_line_and_no_formula() -> None:
    text = reporter(FakeWorkspaces(None, {})).report(None, 7).to_csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["figure"] for row in rows} >= {"deployments", "lead_time", "change_failure_rate", "hours", "cost"}
    lead = [row for row in rows if row["figure"] == "lead_time"]
    assert (lead[0]["value"], lead[0]["unit"], lead[0]["app"]) == ("28800.0000", "s", "'=SUM(A1)")
    assert next(row["value"] for row in rows if row["figure"] == "saved_share") == "0.6250"


def test_without_a_workspace_the_rest_is_told_and_why() -> None:
    class Away(FakeWorkspaces):
        def own(self) -> Workspace:
            raise HeadwayError("WORKSPACE_NONE", reason="nobody gave one")

    found = reporter(Away(None, {})).report(None, 7)
    assert found.costs is None
    assert "nobody gave one" in found.problem
    assert len(found.places) == 1
    assert found.to_json()["clusters"] is None
    assert "lead_time" in found.to_csv()
