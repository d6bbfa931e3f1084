"""Three generations of the official SDK, each in an environment of its own, do a user's whole job on real Spark."""

import json
from pathlib import Path

import pytest

from contract.conftest import RealWorkspace

GENERATIONS = ("sdk-0.60", "sdk-0.117", "sdk-newest")


@pytest.mark.spark
@pytest.mark.parametrize("client", GENERATIONS)
def test_a_generation_of_the_sdk_does_a_whole_job(client: str, real: RealWorkspace, tmp_path: Path) -> None:
    mark = client.replace(".", "-")
    told = json.loads(real.program(client, "sdk_job.py", real.spark_version, mark, cwd=tmp_path))
    assert told == {
        "result": "SUCCESS",
        "count": "rows 7 on 4.3.0",
        "greet": f"hello {mark}",
        "listed": True,
        "runs": True,
        "tags": {"contract": mark},
        "gone": "ResourceDoesNotExist",
    }
