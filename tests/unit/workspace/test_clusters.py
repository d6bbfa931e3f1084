"""A cluster as a value: its states, what the API tells of it, what a change makes of its spec; and that no order of
requests leads the supervisor anywhere else, or leaves a driver behind."""

import contextlib
import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headway.workspace.database import open_database
from headway.workspace.errors import ApiError
from headway.workspace.runtime.tasks import DriverSpec, FileRoots
from headway.workspace.services.clusters import model
from headway.workspace.services.clusters.listing import event_query
from headway.workspace.services.clusters.live import Live, Seat
from headway.workspace.services.clusters.model import MOVES, checked_spec, merged, moved
from headway.workspace.services.clusters.store import ClusterStore
from headway.workspace.services.clusters.supervisor import ClusterSupervisor
from support.clusters import cluster
from support.served_workspace import RUNTIME, FunctionDriver, FunctionFleet, until

# What an event says that a cluster has become. Source: Databricks REST API, Clusters 2.1, events.
LEADS_TO = {
    "CREATING": model.PENDING,
    "STARTING": model.PENDING,
    "RUNNING": model.RUNNING,
    "RESTARTING": model.RESTARTING,
    "RESIZING": model.RESIZING,
    "UPSIZE_COMPLETED": model.RUNNING,
    "TERMINATING": model.TERMINATING,
}


@pytest.mark.parametrize(("state", "to"), list(itertools.product(MOVES, MOVES)))
def test_a_cluster_goes_only_where_it_may(state: str, to: str) -> None:
    legal = {
        ("PENDING", "RUNNING"),
        ("PENDING", "TERMINATING"),
        ("RUNNING", "RESTARTING"),
        ("RUNNING", "RESIZING"),
        ("RUNNING", "TERMINATING"),
        ("RESTARTING", "RUNNING"),
        ("RESTARTING", "TERMINATING"),
        ("RESIZING", "RUNNING"),
        ("RESIZING", "TERMINATING"),
        ("TERMINATING", "TERMINATED"),
        ("TERMINATED", "PENDING"),
    }
    if (state, to) in legal:
        assert moved("c1", state, to) == to
        return
    with pytest.raises(ApiError) as refused:
        moved("c1", state, to)
    assert refused.value.error_code == "INVALID_STATE"
    assert refused.value.message == f"Cluster c1 is in unexpected state {state.capitalize()}."


def test_what_is_told_of_a_cluster_fits_its_state() -> None:
    made = cluster({"spark_version": "4.3.x-scala2.13", "num_workers": 0, "of_tomorrow": [1]})
    node = {"node_type_id": "local.small", "num_cores": 2.0, "memory_mb": 1024}
    why = model.idle(30)
    assert why.message == "Inactive cluster terminated (inactive for 30 minutes)."
    ended = replace(made, state="TERMINATED", ended_ms=5, termination=why.to_json())
    starts, runs, stopped = (
        one.to_json(node) for one in (made, replace(made, state="RUNNING", termination=why.to_json()), ended)
    )
    assert [found["state"] for found in (starts, runs, stopped)] == ["PENDING", "RUNNING", "TERMINATED"]
    assert ["cluster_cores" in found for found in (starts, runs, stopped)] == [False, True, False]
    assert "termination_reason" not in runs  # that of its last end
    assert stopped["termination_reason"]["code"] == "INACTIVITY"
    assert stopped["terminated_time"] == 5
    assert starts["of_tomorrow"] == starts["spec"]["of_tomorrow"] == [1]
    assert (starts["node_type_id"], starts["driver_node_type_id"]) == ("local.small", "local.small")
    scaled = cluster({"autoscale": {"min_workers": 1, "max_workers": 2}}).to_json(node)
    assert "num_workers" not in scaled
    lost = model.driver_lost("DRIVER_OUT_OF_MEMORY", "m" * 5000)
    assert (lost.type, len(lost.parameters["databricks_error_message"])) == ("CLIENT_ERROR", 2000)
    assert model.driver_lost("DRIVER_UNREACHABLE", "").type == "SERVICE_FAULT"
    assert model.spark_node("0", "10.0.0.7:4040", 9)["private_ip"] == "10.0.0.7"
    assert model.spark_node("d", "10.0.0.7", 9)["host_private_ip"] == "10.0.0.7"


@pytest.mark.parametrize(
    ("mask", "given", "expected"),
    [
        ("spark_conf", {"spark_conf": {"b": "2"}}, {"num_workers": 1, "spark_conf": {"b": "2"}}),
        ("spark_conf", {}, {"num_workers": 1}),
        ("spark_conf.b", {"spark_conf": {"b": "2"}}, {"num_workers": 1, "spark_conf": {"a": "1", "b": "2"}}),
        ("spark_conf.a", {"spark_conf": {}}, {"num_workers": 1, "spark_conf": {}}),
        ("*", {"num_workers": 3}, {"num_workers": 3, "spark_conf": {"a": "1"}}),
        ("autoscale", {"autoscale": {"max_workers": 2}}, {"spark_conf": {"a": "1"}, "autoscale": {"max_workers": 2}}),
        ("", {}, "Missing required field: update_mask"),
        ("cluster_id", {"cluster_id": "x"}, "update_mask cannot name cluster_id"),
    ],
)
def test_an_update_changes_what_its_mask_names(mask: str, given: dict[str, Any], expected: Any) -> None:
    before = {"num_workers": 1, "spark_conf": {"a": "1"}}
    if isinstance(expected, str):
        with pytest.raises(ApiError, match=expected):
            merged(before, mask, given)
        return
    assert merged(before, mask, given) == expected
    assert before == {"num_workers": 1, "spark_conf": {"a": "1"}}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"cluster_name": "x" * 256}, "at most 255"),
        ({"autotermination_minutes": True}, "Expected number"),
        ({"autotermination_minutes": 9}, "from 10 to 10000"),
        ({"num_workers": True}, "whole number"),
        ({"autoscale": []}, "Expected object for field autoscale"),
        ({"autoscale": {"min_workers": 2, "max_workers": 1}}, "autoscale needs"),
        ({"autoscale": {"min_workers": 2}}, "autoscale needs"),
        ({"custom_tags": []}, "Expected object for field custom_tags"),
    ],
)
def test_a_spec_that_is_none_is_refused(spec: dict[str, Any], reason: str) -> None:
    with pytest.raises(ApiError, match=reason):
        checked_spec(spec)


def test_a_cluster_is_idle_from_its_last_use_and_only_where_it_may_be() -> None:
    live = Live("c1", model.RUNNING, False, Path(), idle_minutes=10, used_ms=1_000)
    assert not live.idle_for(600_999)
    assert live.idle_for(601_000)
    live.idle_minutes = 0
    assert not live.idle_for(10**12)
    assert not live.usable
    live.seat, live.retired = Seat(driver=None, users=1), [Seat(driver=None, users=2)]  # type: ignore[arg-type]
    assert (live.usable, live.users) == (True, 3)
    assert len(live.seats()) == 2
    assert not live.usable
    assert live.users == 0


class Supervised:
    """A cluster under a supervisor whose drivers run nothing, and the requests that can be made of it."""

    def __init__(self, folder: Path, number: int, store: ClusterStore) -> None:
        self.fleet, self.store, self.cluster_id = FunctionFleet(), store, f"c{number}"
        roots = FileRoots(folder, folder, folder)
        self.supervisor = ClusterSupervisor(
            store,
            self.fleet,
            lambda found, name: DriverSpec(found.cluster_id, RUNTIME, folder / "live" / name, roots),
            folder / "kept",
        )
        columns = {"cluster_id": self.cluster_id, "name": "n", "creator": "u", "spec": {}, "source": model.API}
        self.supervisor.create(columns)

    @property
    def requests(self) -> list[Callable[[], Any]]:
        """They."""
        one, of = self.supervisor, self.cluster_id
        return [
            lambda: one.start(of, "u"),
            lambda: one.restart(of, "u"),
            lambda: one.terminate(of, model.by_user("u")),
            lambda: one.edit(of, {"spark_conf": {"a": str(random.random())}}, "u"),
            lambda: one.resize(of, {"num_workers": 2}, "u"),
            self.kill,
            one.look,
            self.settled,
        ]

    def kill(self) -> None:
        """Its driver dies."""
        for driver in list(self.fleet.live):
            driver.alive = False

    def settled(self) -> str:
        """The state it comes to."""
        return str(until(lambda: (s := self.supervisor.state(self.cluster_id)) in ("RUNNING", "TERMINATED") and s))

    def alive(self) -> list[FunctionDriver]:
        """Drivers that nobody has ended."""
        return [driver for driver in self.fleet.live if driver.alive]


def test_no_order_of_requests_leads_a_cluster_astray_or_leaves_a_driver_behind(tmp_path: Path) -> None:
    store = ClusterStore(open_database(tmp_path / "db"))
    chance = random.Random(7)
    for number in range(15):
        found = Supervised(tmp_path, number, store)
        for _ in range(8):
            with contextlib.suppress(ApiError):  # not in this state
                chance.choice(found.requests)()
        found.settled()
        found.supervisor.look()
        if found.settled() == "RUNNING":
            until(lambda: len(found.alive()) == 1)  # noqa: B023
        found.supervisor.terminate(found.cluster_id, model.by_user("u"), wait=True)
        assert found.supervisor.state(found.cluster_id) == "TERMINATED"
        assert found.fleet.live == []
        told, count = store.events(event_query(found.cluster_id, {"order": "ASC", "limit": 500}))
        assert count == len(told)
        states = [LEADS_TO[event["type"]] for event in told if event["type"] in LEADS_TO]
        assert states[0] == model.PENDING
        for before, after in itertools.pairwise(states):
            between = {model.TERMINATED} & MOVES[before]  # the end itself is no event
            assert after in MOVES[before] or any(after in MOVES[state] for state in between), (before, after, told)
