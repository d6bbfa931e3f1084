"""The demo's data: made by the example's own generator, laid into the workspace through its API, and read back."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def load_generator(example: Path) -> ModuleType:
    """Import the example's `generator` package from its folder, under a name that cannot meet another package."""
    name = "headway_demo_generator"
    package = example / "generator"
    spec = importlib.util.spec_from_file_location(
        name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{package} is not a Python package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def upload_folder(client: WorkspaceClient, folder: Path, target: str) -> int:
    """Copy every file below `folder` to `target` (a `dbfs:/` folder). Return how many bytes went over."""
    total = 0
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as source:
                client.dbfs.upload(f"{target}/{path.relative_to(folder).as_posix()}", source, overwrite=True)
            total += path.stat().st_size
    return total


def download(client: WorkspaceClient, path: str) -> bytes:
    """A file of the workspace, whole."""
    with client.dbfs.download(path) as source:
        return bytes(source.read())


def download_folder(client: WorkspaceClient, source: str, target: Path) -> list[Path]:
    """Copy every file below `source` (a `dbfs:/` folder) into `target`; return the local files."""
    found = []
    for entry in client.dbfs.list(source, recursive=True):
        if entry.path is None or entry.is_dir:
            continue
        relative = entry.path.removeprefix("dbfs:").removeprefix(source.removeprefix("dbfs:")).lstrip("/")
        local = target / relative
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(download(client, entry.path))
        found.append(local)
    return found
