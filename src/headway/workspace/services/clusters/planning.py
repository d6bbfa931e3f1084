"""From what a cluster is asked to be made of to the driver that is started for it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from headway.workspace.catalogue import Catalogue, local_threads
from headway.workspace.runtime.tasks import DriverSpec, FileRoots, InitScript
from headway.workspace.services.clusters.model import Cluster

Reveal = Callable[[Mapping[str, str], str, str | None], tuple[dict[str, str], frozenset[str]]]
"""Values, a user and a run → the values with the secrets that they name, and the names of those that have any. Raises
ApiError where the user may not read one."""


class Planning:
    """Makes driver specs. `folder` is where drivers live while they run; `scripts` gives a cluster's init scripts, and
    may raise ApiError."""

    def __init__(
        self,
        catalogue: Catalogue,
        roots: FileRoots,
        folder: Path,
        reveal: Reveal,
        scripts: Callable[[Cluster], tuple[InitScript, ...]] = lambda cluster: (),
    ) -> None:
        self._catalogue, self._roots, self._folder, self._reveal = catalogue, roots, folder, reveal
        self._scripts = scripts

    def __call__(self, cluster: Cluster, name: str) -> DriverSpec:
        """The driver of a cluster, in a folder called `name`. Raise ApiError where none can be made of its spec."""
        spec = cluster.spec
        size = self._catalogue.size(spec)
        run_id = None if cluster.run_id is None else str(cluster.run_id)
        conf, secret = self._reveal(spec.get("spark_conf") or {}, cluster.creator, run_id)
        env, _ = self._reveal(spec.get("spark_env_vars") or {}, cluster.creator, run_id)
        conf.pop("spark.master", None)
        return DriverSpec(
            cluster_id=cluster.cluster_id,
            runtime=self._catalogue.runtime(spec.get("spark_version")),
            folder=self._folder / name,
            roots=self._roots,
            memory_mb=size.memory_mb,
            cores=local_threads(spec) or size.cores,
            quick=size.quick,
            spark_conf={**conf, **size.spark_conf},
            secret_conf=secret,
            env=env,
            executors=size.executors(spec),
            init_scripts=self._scripts(cluster),
            script_env={
                "DB_CLUSTER_NAME": str(spec.get("cluster_name") or cluster.name),
                "DB_IS_JOB_CLUSTER": "TRUE" if cluster.for_job else "FALSE",
            },
        )
