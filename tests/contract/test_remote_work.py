"""The SDK's `dbutils`, command execution and SQL statements do a user's whole work on real Spark, from elsewhere."""

import json
from pathlib import Path

import pytest

from contract.conftest import RealWorkspace

CLIENT = "sdk-newest"


@pytest.mark.spark
def test_dbutils_commands_and_statements_work_from_elsewhere(real: RealWorkspace, tmp_path: Path) -> None:
    told = json.loads(real.program("sdk-newest", "dbutils_remote.py", real.spark_version, cwd=tmp_path))
    assert told == {
        "head": "hello from afar",
        "listed": [["a.txt", 15]],
        "secret": "swordfish",
        "keys": ["password"],
        "notebook": "hello remote",
        "missing": "DatabricksError",
        "table": [["HELLO FROM AFAR"]],
        "python": "21\n",
        "failed": "ZeroDivisionError: division by zero",
        "kept": "20\n",
        "sum": [["13.5", "it's; fine"]],
        "error": True,
        "tables": ["sales"],
    }
