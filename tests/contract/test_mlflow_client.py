"""MLflow's own client tracks a training in the workspace."""

import json
from pathlib import Path

from clients.environments import run
from support.served_workspace import serving

CLIENT = "mlflow"
PROGRAM = Path(__file__).parent.parent / "clients" / "programs" / "mlflow_tracking.py"


def test_a_training_tracks_itself_and_is_read_back(tmp_path: Path) -> None:
    with serving(tmp_path / "workspace") as served:
        variables = {
            "MLFLOW_TRACKING_URI": "databricks",
            "DATABRICKS_HOST": served.url,
            "DATABRICKS_TOKEN": served.token,
            "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
        }
        told = json.loads(run("mlflow", ["python", str(PROGRAM)], variables, tmp_path).splitlines()[-1])
    assert told == {
        "names": ["depth-8", "depth-4"],
        "status": "FINISHED",
        "depth": "8",
        "auc": 0.9,
        "history": [1 / 8, 1 / 9, 1 / 10],
        "artifacts": ["docs/notes.txt"],
        "fetched": "depth 8",
        "model": ["tree", "READY", True],
        "files": ["MLmodel"],
        "left": 2,
        "experiments": ["/Shared/churn"],
    }
