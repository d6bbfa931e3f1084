"""A training that tracks itself, as a data scientist writes it; prints as JSON what it read back."""

import json
import math
import pathlib
import sys

import mlflow
from mlflow.tracking import MlflowClient

experiment = mlflow.set_experiment("/Shared/churn")
for depth in (2, 4, 8):
    with mlflow.start_run(run_name=f"depth-{depth}") as run:
        mlflow.log_params({"depth": depth, "model": "tree"})
        mlflow.set_tag("team", "growth")
        for step in range(3):
            mlflow.log_metric("loss", 1 / (depth + step), step=step)
        mlflow.log_metrics({"auc": 0.5 + depth / 20, "odd": math.nan if depth == 2 else 1.0})
        notes = pathlib.Path("notes.txt")
        notes.write_text(f"depth {depth}")
        mlflow.log_artifact(str(notes), "docs")

client = MlflowClient()
found = client.search_runs(
    [experiment.experiment_id], "params.model = 'tree' and metrics.auc > 0.65", order_by=["metrics.auc DESC"]
)
best = found[0]
history = [entry.value for entry in client.get_metric_history(best.info.run_id, "loss")]
listed = [entry.path for entry in client.list_artifacts(best.info.run_id, "docs")]
fetched = pathlib.Path(client.download_artifacts(best.info.run_id, "docs/notes.txt")).read_text()

# a model as MLflow 3 logs it: its files, its measure, found again by it
model = client.create_logged_model(experiment.experiment_id, name="tree", source_run_id=best.info.run_id)
pathlib.Path("model").mkdir()
pathlib.Path("model", "MLmodel").write_text("flavors: {}")
client.log_model_artifacts(model.model_id, "model")
client.log_metric(best.info.run_id, "f1", 0.8, model_id=model.model_id)
client.finalize_logged_model(model.model_id, "READY")
(kept,) = client.search_logged_models([experiment.experiment_id], filter_string="metrics.f1 > 0.7")
stored = client.list_logged_model_artifacts(kept.model_id)
client.delete_run(found[1].info.run_id)
json.dump(
    {
        "names": [run.data.tags["mlflow.runName"] for run in found],
        "status": best.info.status,
        "depth": best.data.params["depth"],
        "auc": best.data.metrics["auc"],
        "history": history,
        "artifacts": listed,
        "fetched": fetched,
        "model": [kept.name, str(kept.status), kept.source_run_id == best.info.run_id],
        "files": [entry.path for entry in stored],
        "left": len(client.search_runs([experiment.experiment_id])),
        "experiments": [entry.name for entry in client.search_experiments(filter_string="name LIKE '/Shared/%'")],
    },
    sys.stdout,
)
