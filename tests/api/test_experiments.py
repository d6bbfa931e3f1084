"""Who may read and change MLflow experiments and their runs, through the official client."""

from collections.abc import Callable

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service import iam, ml

from support.served_workspace import Served, as_user

ANN, BEN = "ann@example.com", "ben@example.com"


@pytest.fixture(scope="module")
def ann(served: Served) -> WorkspaceClient:
    """Who makes experiments."""
    return as_user(served, ANN)


@pytest.fixture(scope="module")
def ben(served: Served) -> WorkspaceClient:
    """Another user."""
    return as_user(served, BEN)


@pytest.fixture
def experiment(ann: WorkspaceClient, request: pytest.FixtureRequest) -> str:
    """An experiment in Ann's home, with a run."""
    made = str(ann.experiments.create_experiment(f"/Users/{ANN}/{request.node.name}").experiment_id)
    run_of(ann, made)
    return made


def run_of(client: WorkspaceClient, experiment: str) -> str:
    """A new run of it with a metric."""
    run = client.experiments.create_run(experiment_id=experiment).run
    assert run is not None
    assert run.info is not None
    client.experiments.log_metric("auc", 0.9, 1, run_id=run.info.run_id)
    return str(run.info.run_id)


def readers(experiment: str, run: str) -> list[Callable[[WorkspaceClient], object]]:
    """Each way to read of it."""
    return [
        lambda client: client.experiments.get_experiment(experiment),
        lambda client: client.experiments.get_run(run),
        lambda client: list(client.experiments.search_runs(experiment_ids=[experiment])),
        lambda client: list(client.experiments.get_history("auc", run_id=run)),
        lambda client: list(client.experiments.list_artifacts(run_id=run)),
        lambda client: client.api_client.do("GET", "/api/2.0/mlflow/runs/get", query={"run_uuid": run}),
        lambda client: client.api_client.do(
            "POST", "/api/2.0/mlflow/logged-models/search", body={"experiment_ids": [experiment]}
        ),
    ]


def writers(experiment: str, run: str) -> list[Callable[[WorkspaceClient], object]]:
    """Each way to change something in it."""
    return [
        lambda client: client.experiments.set_experiment_tag(experiment, "k", "v"),
        lambda client: client.experiments.create_run(experiment_id=experiment),
        lambda client: client.experiments.log_metric("auc", 0.1, 1, run_id=run),
        lambda client: client.experiments.log_param("depth", "8", run_id=run),
        lambda client: client.experiments.log_batch(run_id=run, tags=[ml.RunTag(key="a", value="b")]),
        lambda client: client.experiments.set_tag("a", "b", run_uuid=run),
        lambda client: client.experiments.update_run(run_id=run, status=ml.UpdateRunStatus.FINISHED),
        lambda client: client.experiments.delete_run(run),
        lambda client: client.experiments.restore_run(run),
    ]


def managers(experiment: str) -> list[Callable[[WorkspaceClient], object]]:
    """What only who manages it may do."""
    return [
        lambda client: client.experiments.delete_experiment(experiment),
        lambda client: client.experiments.restore_experiment(experiment),
    ]


def grant(client: WorkspaceClient, experiment: str, level: str) -> None:
    """Give Ben a level."""
    entry = iam.AccessControlRequest(user_name=BEN, permission_level=iam.PermissionLevel(level))
    client.permissions.update("experiments", experiment, access_control_list=[entry])


def refused(client: WorkspaceClient, calls: list[Callable[[WorkspaceClient], object]]) -> int:
    """How many of these calls are refused."""
    count = 0
    for call in calls:
        try:
            call(client)
        except PermissionDenied:
            count += 1
    return count


def test_an_experiment_is_its_makers_until_it_is_granted(
    ann: WorkspaceClient, ben: WorkspaceClient, experiment: str
) -> None:
    run = run_of(ann, experiment)
    reading, writing, managing = readers(experiment, run), writers(experiment, run), managers(experiment)
    everything = [*reading, *writing, *managing]
    assert refused(ben, everything) == len(everything)
    assert experiment not in [found.experiment_id for found in ben.experiments.search_experiments()]
    grant(ann, experiment, "CAN_READ")
    assert refused(ben, reading) == 0
    assert refused(ben, [*writing, *managing]) == len(writing) + len(managing)
    assert experiment in [found.experiment_id for found in ben.experiments.search_experiments()]
    grant(ann, experiment, "CAN_EDIT")
    assert (refused(ben, writing), refused(ben, managing)) == (0, len(managing))
    grant(ann, experiment, "CAN_MANAGE")
    assert refused(ben, managing) == 0
    assert refused(ann, everything) == 0


def test_an_experiment_inherits_from_its_folder(served: Served, ann: WorkspaceClient, ben: WorkspaceClient) -> None:
    shared = str(ann.experiments.create_experiment("/Shared/together").experiment_id)
    assert refused(ben, [*readers(shared, run_of(ann, shared)), *managers(shared)]) == 0
    ann.workspace.mkdirs(f"/Users/{ANN}/team")
    inside = str(ann.experiments.create_experiment(f"/Users/{ANN}/team/model").experiment_id)
    folder = ann.workspace.get_status(f"/Users/{ANN}/team").object_id
    entry = iam.AccessControlRequest(user_name=BEN, permission_level=iam.PermissionLevel.CAN_RUN)
    ann.permissions.update("directories", str(folder), access_control_list=[entry])
    run = run_of(ann, inside)
    assert refused(ben, readers(inside, run)) == 0
    assert refused(ben, writers(inside, run)) == len(writers(inside, run))


def test_an_experiment_is_made_and_moved_only_where_its_user_may_write(
    ann: WorkspaceClient, ben: WorkspaceClient, experiment: str
) -> None:
    found = ann.experiments.get_experiment(experiment).experiment
    assert found is not None
    name = str(found.name)
    with pytest.raises(PermissionDenied):
        ben.experiments.create_experiment(f"/Users/{ANN}/mine")
    with pytest.raises(PermissionDenied):
        ben.experiments.get_by_name(name)
    with pytest.raises(PermissionDenied):
        ann.experiments.update_experiment(experiment, new_name=f"/Users/{BEN}/moved")
    ann.experiments.update_experiment(experiment, new_name=f"/Users/{ANN}/moved")
    assert ann.experiments.get_by_name(f"/Users/{ANN}/moved").experiment is not None
