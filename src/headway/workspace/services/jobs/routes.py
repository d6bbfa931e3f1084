"""Jobs over HTTP."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.workspace.errors import invalid, malformed
from headway.workspace.http import Call, Data, Endpoint, Need, flag, number
from headway.workspace.services.jobs import model
from headway.workspace.services.jobs.asking import idempotency_token, page_of, page_tasks, page_token
from headway.workspace.services.jobs.checks import check
from headway.workspace.services.jobs.git_source import with_sources
from headway.workspace.services.jobs.notifications import destinations
from headway.workspace.services.jobs.reading import with_numbers
from headway.workspace.services.jobs.store import JobStore

VERSIONS = ("2.0", "2.1", "2.2")
NOT_SETTINGS = ("idempotency_token", "access_control_list")


class JobRoutes:
    """The routes. `check_cluster` refuses a `new_cluster` that a user cannot have; `on_change` is called with the id of
    each job that was made, changed or removed, and the settings that it was given (None: it is gone); `is_destination`
    tells whether notifications may go to an id."""

    def __init__(
        self,
        store: JobStore,
        check_cluster: Callable[[Mapping[str, Any], str], None],
        on_change: Callable[[int, model.Settings | None], None] = lambda job_id, settings: None,
        is_destination: Callable[[str], bool] = lambda destination_id: True,
    ) -> None:
        self._store, self._check_cluster, self._on_change = store, check_cluster, on_change
        self._is_destination = is_destination

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        posts = {"create": self.create, "reset": self.reset, "update": self.update, "delete": self.delete}
        manage, view = Need("jobs", "job_id", "CAN_MANAGE"), Need("jobs", "job_id", "CAN_VIEW")
        return [
            *(
                Endpoint("POST", f"/jobs/{name}", handler, VERSIONS, None if name == "create" else manage)
                for name, handler in posts.items()
            ),
            Endpoint("GET", "/jobs/get", self.get, VERSIONS, view, quick=True),
            Endpoint("GET", "/jobs/list", self.list, VERSIONS, quick=True),
        ]

    def checked(self, settings: Mapping[str, Any], version: str, user: str) -> model.Settings:
        """The settings as they are kept, of a job that `user` makes or changes. Raise ApiError."""
        result = with_sources(model.multi_task(with_numbers(settings)))
        check(result, version, lambda spec: self._check_cluster(spec, user))
        for named in set(destinations(result)):
            if not self._is_destination(named):
                raise invalid(f"Notification destination {named[:50]} does not exist.")
        return result

    def create(self, call: Call) -> Data:
        """A new job."""
        given = {key: value for key, value in call.data.items() if key not in NOT_SETTINGS}
        settings = self.checked(given, call.version, call.user)
        job_id, new = self._store.create(call.user, settings, idempotency_token(call.data))
        if new:
            self._on_change(job_id, settings)
        return {"job_id": job_id}

    def reset(self, call: Call) -> Data:
        """New settings in the place of all old ones; an omitted run_as is kept."""
        job = self._store.job(number(call.data, "job_id"))
        given = call.data.get("new_settings")
        if not isinstance(given, dict):
            raise invalid("Missing required field: new_settings")
        settings = self.checked(given, call.version, call.user)
        if "run_as" in job.settings:
            settings.setdefault("run_as", job.settings["run_as"])
        self._replace(job.job_id, settings)
        return {}

    def update(self, call: Call) -> Data:
        """Some settings changed, some removed."""
        job = self._store.job(number(call.data, "job_id"))
        given = call.data.get("new_settings") or {}
        remove = call.data.get("fields_to_remove") or []
        if not isinstance(given, dict):
            raise malformed("Could not parse request object: Expected object for field new_settings")
        if not isinstance(remove, list):
            raise malformed("Could not parse request object: Expected array for field fields_to_remove")
        self._replace(job.job_id, self.checked(model.merged(job.settings, given, remove), call.version, call.user))
        return {}

    def _replace(self, job_id: int, settings: model.Settings) -> None:
        self._store.replace(job_id, settings)
        self._on_change(job_id, settings)

    def delete(self, call: Call) -> Data:
        """Remove a job."""
        job_id = number(call.data, "job_id")
        self._store.delete(job_id)
        self._on_change(job_id, None)
        return {}

    def get(self, call: Call) -> Data:
        """One job; at 2.2 a hundred tasks a page."""
        found = self._store.job(number(call.data, "job_id")).to_json()
        if call.version == "2.2":
            page_tasks(found["settings"], found, call.data, "tasks")
        return found

    def list(self, call: Call) -> Data:
        """The newest jobs, a page at a time."""
        limit = number(call.data, "limit", 20)
        if not 1 <= limit <= 100:
            raise invalid("limit must be from 1 to 100")
        offset = number(call.data, "offset", 0)
        if not 0 <= offset <= 1000:
            raise invalid("offset must be from 0 to 1000: use page_token")
        expand = flag(call.data, "expand_tasks")
        found = self._store.jobs(call.data.get("name"), page_token(call.data), limit + 1, offset)
        return page_of(
            "jobs",
            found,
            limit,
            lambda job: job.to_json(tasks=expand),
            lambda job: job.job_id,
            lambda job: call.allows("jobs", job.job_id, "CAN_VIEW"),
        )
