"""The lines of `docs/clients.md` work as they stand."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from clients.environments import environment
from contract.conftest import RealWorkspace, every_client

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
BLOCKS = re.findall(r"<!-- client: ([\w.-]+) -->\n```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
HEAVY = ("airflow",)
TRIED = [(client, text) for client, text in BLOCKS if every_client() or client not in HEAVY]


@pytest.mark.spark
@pytest.mark.parametrize(("client", "text"), TRIED, ids=[f"{n}-{client}" for n, (client, _) in enumerate(TRIED)])
def test_a_documented_block_works(client: str, text: str, real: RealWorkspace, tmp_path: Path) -> None:
    path = os.environ["PATH"] if client == "curl" else f"{environment(client)}:{os.environ['PATH']}"
    variables = {"PATH": path, "HOME": str(tmp_path), "URL": real.url, "TOKEN": real.token, "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-euc", text], env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_every_client_that_is_tested_is_documented() -> None:
    assert {client for client, _ in BLOCKS} >= {"sdk-0.60", "sdk-newest", "cli-legacy", "mlflow", "airflow"}
