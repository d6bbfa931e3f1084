"""Who may read and change MLflow experiments and their runs, through the official client."""

import json
from collections.abc import Callable

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotFound, PermissionDenied
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


def logged(client: WorkspaceClient, experiment: str, run: str, auc: float) -> str:
    """A model that a run has logged and measured."""
    tag, depth = ml.LoggedModelTag("team", "growth"), ml.LoggedModelParameter("depth", "8")
    made = client.experiments.create_logged_model(
        experiment, name="tree", model_type="sklearn", source_run_id=run, tags=[tag], params=[depth]
    ).model
    assert made
    assert made.info
    model_id = str(made.info.model_id)
    client.experiments.log_metric("auc", 0.1, 1, run_id=run, model_id=model_id, dataset_name="holdout", step=0)
    client.experiments.log_metric("auc", auc, 2, run_id=run, model_id=model_id, dataset_name="holdout", step=1)
    client.experiments.finalize_logged_model(model_id, ml.LoggedModelStatus.LOGGED_MODEL_READY)
    client.experiments.log_outputs(run, models=[ml.ModelOutput(model_id, 1)])
    client.experiments.log_inputs(run, models=[ml.ModelInput(model_id)])
    return model_id


def test_a_logged_model_is_kept_found_and_forgotten(ann: WorkspaceClient, experiment: str) -> None:
    run = run_of(ann, experiment)
    good, bad = logged(ann, experiment, run, 0.9), logged(ann, experiment, run, 0.4)
    found = ann.experiments.get_logged_model(good).model
    assert found
    assert found.info
    assert found.data
    assert (found.info.name, found.info.status, found.info.source_run_id) == (
        "tree", ml.LoggedModelStatus.LOGGED_MODEL_READY, run,
    )  # fmt: skip
    assert str(found.info.artifact_uri).endswith(f"/models/{good}/artifacts")
    assert [(one.key, one.value, one.dataset_name) for one in found.data.metrics or []] == [("auc", 0.9, "holdout")]
    rising = [ml.SearchLoggedModelsOrderBy("metrics.auc", ascending=True)]

    def search(text: str, *datasets: str) -> list[str | None]:
        told = ann.experiments.search_logged_models(
            experiment_ids=[experiment],
            filter=text,
            order_by=rising,
            datasets=[ml.SearchLoggedModelsDataset(name) for name in datasets] or None,
        )
        return [one.info.model_id for one in told.models or [] if one.info]

    assert search("") == [bad, good]
    assert search("metrics.auc > 0.5 and params.depth = '8' and tags.team = 'growth'") == [good]
    assert search("metrics.auc > 0.5", "another set") == []
    assert search("name = 'tree' and status = 'LOGGED_MODEL_READY'", "holdout") == [bad, good]
    told = ann.experiments.get_run(run).run
    assert told
    assert told.inputs
    assert [one.model_id for one in told.inputs.model_inputs or []] == [good, bad]
    ann.experiments.log_logged_model_params(good, params=[ml.LoggedModelParameter("leaves", "31")])
    with pytest.raises(InvalidParameterValue, match="Changing param values is not allowed"):
        ann.experiments.log_logged_model_params(good, params=[ml.LoggedModelParameter("leaves", "32")])
    ann.experiments.set_logged_model_tags(good, tags=[ml.LoggedModelTag("stage", "test")])
    ann.experiments.delete_logged_model_tag(good, "team")
    again = ann.experiments.get_logged_model(good).model
    assert again
    assert again.info
    assert [(tag.key, tag.value) for tag in again.info.tags or []] == [("stage", "test")]
    ann.experiments.delete_logged_model(good)
    assert search("") == [bad]
    with pytest.raises(NotFound):
        ann.experiments.get_logged_model(good)


def test_a_logged_model_is_as_open_as_its_experiment(
    ann: WorkspaceClient, ben: WorkspaceClient, experiment: str
) -> None:
    run = run_of(ann, experiment)
    model_id = logged(ann, experiment, run, 0.9)
    own = str(ben.experiments.create_experiment(f"/Users/{BEN}/own-{experiment}").experiment_id)
    mine = run_of(ben, own)
    reading: list[Callable[[WorkspaceClient], object]] = [
        lambda client: client.experiments.get_logged_model(model_id),
        lambda client: client.experiments.search_logged_models(experiment_ids=[experiment]),
    ]
    writing: list[Callable[[WorkspaceClient], object]] = [
        lambda client: client.experiments.create_logged_model(experiment, name="theirs"),
        lambda client: client.experiments.set_logged_model_tags(model_id, tags=[ml.LoggedModelTag("a", "b")]),
        lambda client: client.experiments.finalize_logged_model(
            model_id, ml.LoggedModelStatus.LOGGED_MODEL_UPLOAD_FAILED
        ),
        lambda client: client.experiments.delete_logged_model(model_id),
    ]
    assert refused(ben, [*reading, *writing]) == len(reading) + len(writing)
    with pytest.raises(InvalidParameterValue, match=f"is not of experiment {own}"):
        ben.experiments.log_metric("auc", 1.0, 1, run_id=mine, model_id=model_id)
    with pytest.raises(InvalidParameterValue, match=f"is not of experiment {own}"):
        ben.experiments.log_outputs(mine, models=[ml.ModelOutput(model_id, 1)])
    grant(ann, experiment, "CAN_READ")
    assert (refused(ben, reading), refused(ben, writing)) == (0, len(writing))


def test_a_model_of_mlflow_2_is_told_as_a_tag_of_its_run(ann: WorkspaceClient, experiment: str) -> None:
    run = run_of(ann, experiment)
    for path in ("first", "second"):
        told = json.dumps({"artifact_path": path, "flavors": {"python_function": {}}, "run_id": run})
        ann.experiments.log_model(model_json=told, run_id=run)
    found = ann.experiments.get_run(run).run
    assert found
    assert found.data
    tags = {tag.key: tag.value for tag in found.data.tags or []}
    history = json.loads(str(tags["mlflow.log-model.history"]))
    assert [entry["artifact_path"] for entry in history] == ["first", "second"]
    with pytest.raises(InvalidParameterValue, match="is not a valid JSON object"):
        ann.experiments.log_model(model_json="{", run_id=run)
