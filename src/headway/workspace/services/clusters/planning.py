"""From what a cluster is asked to be made of to the driver that is started for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headway.workspace.catalogue import Catalogue, local_threads
from headway.workspace.runtime.tasks import DriverSpec, FileRoots


class Planning:
    """Makes driver specs. `folder` is where drivers live while they run."""

    def __init__(self, catalogue: Catalogue, roots: FileRoots, folder: Path) -> None:
        self._catalogue, self._roots, self._folder = catalogue, roots, folder

    def __call__(self, cluster_id: str, spec: Mapping[str, Any], name: str) -> DriverSpec:
        """The driver of a cluster, in a folder called `name`. Raise ApiError where none can be made of `spec`."""
        size = self._catalogue.size(spec)
        conf = {key: value for key, value in (spec.get("spark_conf") or {}).items() if key != "spark.master"}
        return DriverSpec(
            cluster_id=cluster_id,
            runtime=self._catalogue.runtime(spec.get("spark_version")),
            folder=self._folder / name,
            roots=self._roots,
            memory_mb=size.memory_mb,
            cores=local_threads(spec) or size.cores,
            quick=size.quick,
            spark_conf={**conf, **size.spark_conf},
            env=spec.get("spark_env_vars") or {},
            executors=size.executors(spec),
        )
