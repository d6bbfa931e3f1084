"""Which packages of the runtime nothing that a run installs may take the place of."""

import importlib.metadata
import os

KEPT = ("pyspark", "py4j", "pandas", "numpy", "pyarrow")


def constraints_file(folder: str) -> str:
    """A pip constraints file beside `folder` that pins them to what is installed."""
    path = folder.rstrip("/") + ".constraints"
    lines = []
    for name in KEPT:
        try:
            lines.append(f"{name}=={importlib.metadata.version(name)}\n")
        except importlib.metadata.PackageNotFoundError:
            continue
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as target:
        target.writelines(lines)
    return path
