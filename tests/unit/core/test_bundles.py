"""Databricks bundles: merged, interpolated and mapped as documented; wrong ones refused with file, line and field."""

from typing import Any

import pytest

from headway.core.application import ArtifactSettings, JobDefinition
from headway.core.bundles.assembling import fits
from headway.core.bundles.reading import Reading, read_bundle
from headway.core.bundles.tree import Misfit, Node, merge, read_tree
from headway.core.diagnostics import Diagnostic
from headway.core.jobfields import KNOWN_FIELDS
from headway.core.sources import read_yaml

ARTIFACTS = (
    ArtifactSettings("lib", "wheel", "wheel", path="."),
    ArtifactSettings("app", "jar", "command", command="sbt", output="target/scala-2.13/app_*.jar"),
    ArtifactSettings("books", "notebooks", "notebooks", path="src"),
)
MAIN = """
bundle:
  name: shop
include:
  - resources/*.yml
variables:
  bucket: {default: s3://dev}
  nodes: {default: 2}
  cluster:
    type: complex
    default:
      spark_version: ${var.spark}
      num_workers: ${var.nodes}
      spark_conf: {a.b: "${bundle.target}", other: "${spark.own}"}
  spark: {default: 4.3.x-scala2.13}
  names: {type: complex, default: [first, second]}
workspace:
  root_path: /Shared/.bundle/${bundle.name}/${bundle.target}
targets:
  dev:
    default: true
  prod:
    variables:
      bucket: s3://prod
      nodes: 8
    permissions:
      - {level: CAN_RUN, group_name: ops}
      - {level: CAN_MANAGE, user_name: boss@example.org}
    run_as: {service_principal_name: robot}
    presets: {name_prefix: "p-", tags: {owner: us}, trigger_pause_status: UNPAUSED}
    resources:
      jobs:
        orders:
          max_concurrent_runs: 3
          tasks:
            - task_key: load
              max_retries: 4
          job_clusters:
            - job_cluster_key: main
              new_cluster: {num_workers: 16}
"""
ORDERS = """
resources:
  jobs:
    orders:
      name: orders ${bundle.target}
      tags: {owner: them, kind: etl}
      schedule: {quartz_cron_expression: "0 0 1 * * ?", timezone_id: UTC}
      permissions:
        - {level: CAN_VIEW, user_name: boss@example.org}
      parameters:
        - {name: day, default: 2024-01-01}
      tasks:
        - task_key: load
          job_cluster_key: main
          notebook_task: {notebook_path: ../src/load.ipynb, base_parameters: {in: "${var.bucket}/in", b: on}}
        - task_key: score
          depends_on: [{task_key: load}]
          job_cluster_key: main
          python_wheel_task: {package_name: lib, entry_point: main, parameters: ["${var.names[1]}", "${not.ours}"]}
          libraries:
            - whl: ../dist/*.whl
            - jar: ../target/scala-2.13/app_2.13-1.0.jar
            - pypi: {package: x}
        - task_key: again
          run_job_task: {job_id: "${resources.jobs.other.id}"}
      job_clusters:
        - job_cluster_key: main
          new_cluster: ${var.cluster}
    other:
      name: other
      tasks:
        - task_key: t
          existing_cluster_id: c
          spark_python_task: {python_file: "${workspace.file_path}/../run.py", parameters: ["${bundle.git.commit}"]}
"""


def read(texts: dict[str, str], target: str = "prod", **how: Any) -> tuple[dict[str, JobDefinition], list[Diagnostic]]:
    """A bundle of these files."""
    given = {"values": {}, "host": "https://w", "branch": "main", **how}
    return read_bundle(texts, Reading("databricks.yml", target, ARTIFACTS, **given), KNOWN_FIELDS)


def jobs(target: str = "prod", **how: Any) -> dict[str, Any]:
    """The settings of the jobs above."""
    other = ORDERS.replace("${workspace.file_path}/../run.py", "/Workspace/run.py")
    found, problems = read({"databricks.yml": MAIN, "resources/orders.yml": other}, target, **how)
    assert problems == []
    return {key: job.settings for key, job in found.items()}


def test_a_target_overrides_what_is_below_task_by_task_and_cluster_by_cluster() -> None:
    orders = jobs()["orders"]
    assert orders["name"] == "p-orders prod"
    assert orders["max_concurrent_runs"] == 3
    assert [task["task_key"] for task in orders["tasks"]] == ["load", "score", "again"]
    assert orders["tasks"][0]["max_retries"] == 4
    assert orders["tasks"][0]["notebook_task"]["base_parameters"] == {"in": "s3://prod/in", "b": "on"}
    assert orders["job_clusters"] == [
        {
            "job_cluster_key": "main",
            "new_cluster": {
                "spark_version": "4.3.x-scala2.13",
                "num_workers": 16,
                "spark_conf": {"a.b": "prod", "other": "$${spark.own}"},
            },
        }
    ]
    assert orders["parameters"] == [{"name": "day", "default": "2024-01-01"}]
    assert orders["schedule"]["pause_status"] == "UNPAUSED"
    assert orders["tags"] == {"owner": "them", "kind": "etl"}
    assert orders["permissions"] == [
        {"level": "CAN_VIEW", "user_name": "boss@example.org"},
        {"level": "CAN_MANAGE_RUN", "group_name": "ops"},
    ]
    assert orders["run_as"] == {"service_principal_name": "robot"}
    assert orders["queue"] == {"enabled": True}
    dev = jobs("dev")["orders"]
    assert (dev["name"], dev["job_clusters"][0]["new_cluster"]["num_workers"]) == ("orders dev", 2)
    assert "permissions" in dev
    assert "run_as" not in dev


def test_its_files_are_artifacts_and_what_only_a_deploy_knows_is_a_reference() -> None:
    orders, other = jobs()["orders"], jobs()["other"]
    assert orders["tasks"][0]["notebook_task"]["notebook_path"] == "${artifact.books.path}/load"
    assert orders["tasks"][1]["libraries"] == [
        {"whl": "${artifact.lib.path}"},
        {"jar": "${artifact.app.path}"},
        {"pypi": {"package": "x"}},
    ]
    assert orders["tasks"][1]["python_wheel_task"]["parameters"] == ["second", "$${not.ours}"]
    assert orders["tasks"][2]["run_job_task"]["job_id"] == "${resources.jobs.other.id}"
    assert other["tasks"][0]["spark_python_task"]["parameters"] == ["${release.commit}"]


def test_values_of_the_environment_count_before_all_others() -> None:
    found = jobs(values={"bucket": "s3://mine", "nodes": 1, "spark": "x"})["orders"]
    assert found["tasks"][0]["notebook_task"]["base_parameters"]["in"] == "s3://mine/in"
    assert found["job_clusters"][0]["new_cluster"] | {} == {
        "spark_version": "x",
        "num_workers": 16,
        "spark_conf": {"a.b": "prod", "other": "$${spark.own}"},
    }


def test_development_prefixes_pauses_tags_and_lets_four_run() -> None:
    texts = {"databricks.yml": MAIN.replace("    default: true", "    mode: development"), "resources/o.yml": ORDERS}
    texts["resources/o.yml"] = ORDERS.replace("${workspace.file_path}/../run.py", "/Workspace/run.py")
    _, problems = read(texts, "dev")
    assert "development puts the user's name before each job's" in str(problems[0])
    found, problems = read(texts, "dev", user="jo.doe@example.org")
    assert problems == []
    orders = found["orders"].settings
    assert orders["name"] == "[dev jo_doe] orders dev"
    assert (orders["max_concurrent_runs"], orders["schedule"]["pause_status"]) == (4, "PAUSED")
    assert orders["tags"]["dev"] == "jo_doe"


def test_every_field_is_known_by_its_own_file_and_line() -> None:
    good = ORDERS.replace("${workspace.file_path}/../run.py", "/Workspace/run.py")
    main = MAIN.replace("              max_retries: 4", "              max_retriez: 4")
    _, problems = read({"databricks.yml": main, "resources/orders.yml": good})
    line = main[: main.index("max_retriez")].count("\n") + 1
    assert [str(problem) for problem in problems] == [
        f"databricks.yml:{line}: orders.tasks.0.max_retriez: unknown key (did you mean max_retries?)"
    ]


JOB = "resources: {jobs: {j: {name: j, tasks: [{task_key: t, %s}]}}}"


@pytest.mark.parametrize(
    ("main", "told"),
    [
        (
            "bundle: {name: b}\ntargets: {dev: {}}",
            "databricks.yml:2: targets: there is no target prod (there are: dev)",
        ),
        ("bundle: {name: b}\nrezources: {}", "databricks.yml:2: rezources: unknown key (did you mean resources?)"),
        ("bundle: {name: b\n", "databricks.yml:"),
        ("bundle: {name: b}\nbundle: {name: c}", "databricks.yml:2: the key bundle stands twice in one mapping"),
        ("include: [jobs.yml]\ntargets: {prod: {}}", "databricks.yml:1: include: there is no file jobs.yml"),
        ("include: [../x/*.yml]\ntargets: {prod: {}}", "include: ../x/*.yml is outside of the bundle's folder"),
        ("bundle: {name: b}\ntargets: {prod: {}}", "databricks.yml: resources.jobs: the bundle has no jobs"),
        (
            "bundle: {name: b}\ntargets:\n  prod:\n    workspace: {host: https://other}\n" + JOB % "notebook_task: {}",
            "databricks.yml:4: workspace.host: target prod is for https://other, the environment for https://w",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {variables: {x: 1}}}\n" + JOB % "notebook_task: {}",
            "databricks.yml:2: targets.prod.variables.x: no such variable is defined (there are: none)",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {resources: {jobs: [1]}}}\n" + JOB % "notebook_task: {}",
            "databricks.yml:2: resources.jobs: does not fit what stands in databricks.yml:3: one is a mapping",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {}}\n" + JOB % "notebook_task: {notebook_path: ../../x.py}",
            "databricks.yml:3: resources.jobs.j.tasks.0.notebook_task.notebook_path: ../../x.py is outside",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {}}\n" + JOB % "notebook_task: {notebook_path: ./books/x.py}",
            'no artifact has the notebook books/x.py (add an [[artifact]] to headway.toml: kind = "notebooks", '
            'builder = "notebooks", path = "books")',
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {}}\n" + JOB % "notebook_task: {}, libraries: [{jar: ./x/*.jar}]",
            "databricks.yml:3: resources.jobs.j.tasks.0.libraries.0.jar: no artifact of the release is what x/*.jar "
            "names ([[artifact]] of kind jar in headway.toml: app (target/scala-2.13/app_*.jar))",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {}}\n" + JOB % "spark_python_task: {python_file: a.py}",
            "the file a.py is no artifact of a release (put it into a wheel (python_wheel_task), or make it a note",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {}}\n" + JOB % 'notebook_task: {}, timeout_seconds: "${var.x}"',
            "resources.jobs.j.tasks.0.timeout_seconds: ${var.x}: no such variable is defined (there are: none)",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {}}\nvariables: {x: {}}\n"
            + JOB % 'notebook_task: {}, description: "${var.x}"',
            "databricks.yml:3: variables.x: has no value, and no default (give x to the environment's `values`",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {}}\nvariables:\n  x:\n    lookup: {cluster: c}\n"
            + JOB % 'notebook_task: {}, description: "${var.x}"',
            "databricks.yml:5: variables.x.lookup: the variable x looks something up in the workspace",
        ),
        (
            'bundle: {name: b}\ntargets: {prod: {}}\nvariables: {x: {default: "${var.y}"}, y: {default: "${var.x}"}}\n'
            + JOB % 'notebook_task: {}, description: "${var.x}"',
            "references go round in a circle: var.x → var.y → var.x",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {}}\n" + JOB % 'run_job_task: {job_id: "${resources.jobs.gone.id}"}',
            "${resources.jobs.gone.id}: there is no job gone",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {}}\nresources:\n  pipelines:\n    p: {}\n  jobs: {j: {name: j, tasks: "
            '[{task_key: t, pipeline_task: {pipeline_id: "${resources.pipelines.p.id}"}}]}}',
            "databricks.yml:5: resources.pipelines.p: only jobs are deployed by Headway (deploy it with the Databricks "
            'CLI, and say so: bundle_ignore = ["pipelines.*"] in [deploy] of headway.toml)',
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {}}\n"
            + JOB % 'notebook_task: {}, description: "${workspace.current_user.userName}"',
            "who that is, is not known when files are read (set bundle_user of the environment in headway.toml",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {mode: fast}}\n" + JOB % "notebook_task: {}",
            "databricks.yml:2: mode: 'fast' is neither development nor production",
        ),
        (
            "bundle: {name: b}\ntargets: {prod: {}}\nexperimental: {python: {venv_path: .venv}}\n"
            + JOB % "notebook_task: {}",
            "databricks.yml:3: experimental.python: is not read (without it, say so: bundle_ignore",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_file_line_and_field(main: str, told: str) -> None:
    _, problems = read({"databricks.yml": main})
    assert any(told in str(problem) for problem in problems), [str(problem) for problem in problems]


def test_two_files_cannot_define_one_job() -> None:
    texts = {
        "databricks.yml": MAIN,
        "resources/a.yml": JOB % "notebook_task: {}",
        "resources/b.yml": JOB % "notebook_task: {}",
    }
    _, problems = read(texts)
    assert str(problems[0]) == "resources/b.yml:1: resources.jobs.j: is defined in resources/a.yml:1 as well"


def test_what_is_ignored_on_purpose_is_no_problem() -> None:
    main = "bundle: {name: b}\ntargets: {prod: {}}\nresources: {pipelines: {p: {}}, jobs: {j: {name: j, tasks: [%s]}}}"
    text = main % "{task_key: t, pipeline_task: {pipeline_id: x}}"
    assert read({"databricks.yml": text}, ignored=("pipelines.*",))[1] == []


def tree(text: str) -> Node:
    """A tree."""
    found = read_tree("f.yml", text)
    assert isinstance(found, Node)
    return found


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("a: 1", "a: 2", {"a": 2}),
        ("a: 1", "a:", {"a": 1}),
        ("a:", "a: {b: 1}", {"a": {"b": 1}}),
        ("a: {b: 1, c: 2}", "a: {c: 3}\nd: 4", {"a": {"b": 1, "c": 3}, "d": 4}),
        ("a: [1, 2]", "a: [2]", {"a": [1, 2, 2]}),
        ("a: 1", 'a: "${var.n}"', {"a": "${var.n}"}),
    ],
)
def test_merging(first: str, second: str, both: Any) -> None:
    assert merge(tree(first), tree(second)).plain() == both


def test_anchors_and_merge_keys_are_read() -> None:
    text = "x: &base {a: 1, b: 2}\ny:\n  <<: *base\n  b: 3"
    assert tree(text).plain() == {"x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}}
    with pytest.raises(Misfit):
        merge(tree("a: {}"), tree("a: x"))


@pytest.mark.parametrize(
    ("pattern", "name", "fit"),
    [
        ("resources/*.yml", "resources/a.yml", True),
        ("./resources/*.yml", "resources/a.yml", True),
        ("resources/*.yml", "resources/deep/a.yml", False),
        ("resources/**/*.yml", "resources/deep/a.yml", True),
        ("resources/**/*.yml", "resources/a.yml", False),
        ("a?c.[xy]ml", "abc.yml", True),
    ],
)
def test_include_patterns(pattern: str, name: str, fit: bool) -> None:
    assert fits(pattern, name) is fit


@pytest.mark.parametrize("opening", ["[", "- ", "? ", "- ? ", '["]", ', "{a: "])
def test_nesting_without_end_is_refused(opening: str) -> None:
    for found in (read_tree("f.yml", opening * 100_000), read_yaml("f.yml", opening * 100_000)):
        assert isinstance(found, Diagnostic)
        assert "nested deeper than 200 levels" in found.message
