"""The workspace's jobs, runs, clusters and libraries, as the visitor may see them."""

from collections.abc import Callable, Mapping
from typing import Any

from headway.core.errors import HeadwayError
from headway.core.fields import redacted
from headway.pipeline.workspaces import Workspace, Workspaces
from headway.web.door import Goto, Page, Visit, with_query
from headway.web.graph import HEIGHT, WIDTH, graph_of
from headway.web.rendering import duration, size

RUNS, JOBS = 25, 100
_LOGS = 60_000


class WorkspacePages:
    """The pages. Each reads the REST API with the visitor's own token."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    def _of(self, visit: Visit) -> Workspace:
        return self._workspaces.of(visit.who, visit.session.token)

    # --- jobs

    def jobs(self, visit: Visit) -> Page:
        """Jobs, a page at a time."""
        name, token = visit.query.get("name"), visit.query.get("page")
        page = self._of(visit).get("/api/2.2/jobs/list", limit=JOBS, name=name or None, page_token=token or None)
        more = page.get("next_page_token")
        values = {
            "jobs": page.get("jobs") or [],
            "name": name or "",
            "older": with_query("/workspace/jobs", name=name, page=more) if more else "",
        }
        return Page("jobs.html", values)

    def job(self, visit: Visit) -> Page:
        """A job: its tasks, settings and newest runs."""
        workspace, job_id = self._of(visit), visit.path["job"]
        job = workspace.get("/api/2.2/jobs/get", job_id=job_id)
        settings: dict[str, Any] = redacted(job.get("settings") or {})
        page = workspace.get("/api/2.2/jobs/runs/list", job_id=job_id, limit=RUNS, page_token=visit.query.get("page"))
        more = page.get("next_page_token")
        values = {
            "job": job,
            "settings": settings,
            "drawing": graph_of(settings.get("tasks") or []),
            "box": (WIDTH, HEIGHT),
            "states": {},
            "runs": page.get("runs") or [],
            "may_start": visit.who.may("developer"),
            "older": with_query(f"/workspace/jobs/{job_id}", page=more) if more else "",
        }
        return Page("job.html", values)

    def start(self, visit: Visit) -> Goto:
        """Run a job now."""
        found = self._of(visit).post("/api/2.2/jobs/run-now", job_id=visit.path["job"])
        return Goto(f"/workspace/runs/{found['run_id']}", "The job has been started.")

    # --- runs

    def runs(self, visit: Visit) -> Page:
        """Runs of all jobs, the newest first."""
        active = visit.query.get("active") == "true"
        page = self._of(visit).get(
            "/api/2.2/jobs/runs/list",
            limit=RUNS,
            active_only="true" if active else None,
            page_token=visit.query.get("page"),
        )
        more = page.get("next_page_token")
        older = with_query("/workspace/runs", active="true" if active else None, page=more) if more else ""
        return Page("job_runs.html", {"runs": page.get("runs") or [], "active": active, "older": older})

    def run(self, visit: Visit) -> Page:
        """A run: its tasks as a graph and one by one."""
        workspace, run_id = self._of(visit), visit.path["run"]
        run = workspace.get("/api/2.2/jobs/runs/get", run_id=run_id)
        tasks = run.get("tasks") or []
        told = _quietly(lambda: workspace.get("/api/2.1/headway/runs/metrics", run_id=run_id).get("tasks")) or []
        figures = {entry.get("run_id"): entry for entry in told}
        for task in tasks:
            task["spark_ui"] = _spark_ui(workspace, task)
            own = figures.get(task.get("run_id"), {})
            task["figures"] = _figures(own)
            if str(own.get("spark_ui", "")).startswith("/sparkui/"):
                task["spark_ui"] = f"{workspace.host}{own['spark_ui']}"
        values = {
            "run": run,
            "state": state_of(run),
            "tasks": tasks,
            "state_of": state_of,
            "kind_of": kind_of,
            "drawing": graph_of(tasks),
            "box": (WIDTH, HEIGHT),
            "states": {task["task_key"]: state_of(task) for task in tasks},
            "active": not (run.get("state") or {}).get("result_state"),
            "may_cancel": visit.who.may("developer"),
        }
        return Page("_job_run.html" if visit.partial else "job_run.html", values)

    def output(self, visit: Visit) -> Page:
        """What a task's run said."""
        workspace, run_id = self._of(visit), visit.path["run"]
        try:
            found = workspace.get("/api/2.2/jobs/runs/get-output", run_id=run_id)
            problem = ""
        except HeadwayError as error:
            found, problem = {}, error.message
        logs = str(found.get("logs") or "")
        values = {
            "run_id": run_id,
            "output": found,
            "logs": logs[-_LOGS:],
            "cut": bool(found.get("logs_truncated")) or len(logs) > _LOGS,
            "problem": problem,
        }
        return Page("_output.html" if visit.partial else "output.html", values)

    def cancel(self, visit: Visit) -> Goto:
        """End a run."""
        self._of(visit).post("/api/2.2/jobs/runs/cancel", run_id=visit.path["run"])
        return Goto(f"/workspace/runs/{visit.path['run']}", "The run is being cancelled.")

    # --- clusters

    def clusters(self, visit: Visit) -> Page:
        """All-purpose clusters, and the newest ones of runs."""
        workspace, token = self._of(visit), visit.query.get("page")
        page = workspace.get("/api/2.1/clusters/list", page_size=50, page_token=token)
        found = page.get("clusters") or []
        for cluster in found:
            cluster["spark_ui"] = _spark_ui(workspace, cluster)
        more = page.get("next_page_token")
        values = {
            "own": [cluster for cluster in found if cluster.get("cluster_source") != "JOB"],
            "of_runs": [cluster for cluster in found if cluster.get("cluster_source") == "JOB"],
            "older": with_query("/workspace/clusters", page=more) if more else "",
        }
        return Page("clusters.html", values)

    def cluster(self, visit: Visit) -> Page:
        """A cluster: its settings and what happened to it."""
        workspace, cluster_id = self._of(visit), visit.path["cluster"]
        cluster = workspace.get("/api/2.1/clusters/get", cluster_id=cluster_id)
        events = workspace.post("/api/2.1/clusters/events", cluster_id=cluster_id, limit=50)
        values = {
            "cluster": cluster,
            "spark_ui": _spark_ui(workspace, cluster),
            "spec": redacted(cluster.get("spec") or {}),
            "events": events.get("events") or [],
            "libraries": _quietly(
                lambda: workspace.get("/api/2.0/libraries/cluster-status", cluster_id=cluster_id).get(
                    "library_statuses"
                )
            ),
        }
        return Page("cluster.html", values)

    # --- libraries

    def libraries(self, visit: Visit) -> Page:
        """Workspace libraries, and what is installed on clusters."""
        workspace = self._of(visit)
        listed = _quietly(lambda: workspace.listed("/api/1.2/libraries/list"))
        installed = _quietly(lambda: workspace.get("/api/2.0/libraries/all-cluster-statuses").get("statuses"))
        return Page("libraries.html", {"libraries": listed, "installed": installed})


def _quietly(read: Callable[[], Any]) -> Any:
    """What is read; None where this workspace does not serve it or the visitor may not see it."""
    try:
        return read() or []
    except HeadwayError:
        return None


def state_of(run: Mapping[str, Any]) -> str:
    """A run's or a task's state in one word: how it ended, else where it is."""
    state = run.get("state") or {}
    return str(state.get("result_state") or state.get("life_cycle_state") or "UNKNOWN")


def kind_of(task: Mapping[str, Any]) -> str:
    """What a task runs."""
    kinds = [key for key in task if key.endswith("_task")]
    return kinds[0].removesuffix("_task").replace("_", " ") if kinds else ""


def _figures(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a task cost on Spark, in words; nothing where its workspace does not tell."""
    metrics = told.get("metrics") if told.get("available") else None
    if not isinstance(metrics, dict) or not metrics.get("tasks"):
        return []
    found = [("on its cluster", duration(float(told.get("cluster_seconds") or 0)))]
    found += [
        (key.replace("_", " "), str(metrics[key])) for key in ("stages", "tasks", "failed_tasks") if metrics.get(key)
    ]
    for key, name in (("executor_run_ms", "executors ran"), ("gc_ms", "garbage collection")):
        if metrics.get(key):
            found.append((name, duration(metrics[key] / 1000)))
    sizes = (
        "input_bytes",
        "output_bytes",
        "shuffle_write_bytes",
        "memory_spilled_bytes",
        "disk_spilled_bytes",
        "peak_heap_bytes",
    )
    found += [(key.removesuffix("_bytes").replace("_", " "), size(metrics[key])) for key in sizes if metrics.get(key)]
    return found


def _spark_ui(workspace: Workspace, given: Mapping[str, Any]) -> str:
    """Where the Spark UI of a cluster, or of a task's cluster, is; empty where nobody says."""
    said = given.get("spark_ui_url") or ""
    if isinstance(said, str) and said.startswith(("http://", "https://")):
        return said
    place = given.get("cluster_instance") or given
    cluster_id, context_id = place.get("cluster_id"), place.get("spark_context_id")
    if cluster_id and (given.get("default_tags") or {}).get("Vendor") == "Headway":
        return f"{workspace.host}/sparkui/{cluster_id}/"
    if cluster_id and context_id:
        return f"{workspace.host}/#setting/sparkui/{cluster_id}/driver-{context_id}"
    return ""
