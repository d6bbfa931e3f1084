"""Bad configuration is told whole, each problem with its file and line."""

from pathlib import Path

import pytest

from headway.core.application import Application
from headway.core.configuration import Files, parse
from headway.delivery.configuration import known_fields, load_application

EXAMPLE = Path(__file__).parents[3] / "examples" / "activity-scoring"
VARIABLES = {"STORE": "file:///store"}
TOML = """[app]
name = "demo"
version = "1.0"
spark = "4.3.0"

[store]
url = "${env.STORE}"

[[test]]
name = "unit"
command = "true"

[[artifact]]
name = "jar"
kind = "jar"
builder = "scala"
sources = ["src"]

[environments.stage]
host = "http://127.0.0.1:1"
token_env = "TOKEN"
prefix = "stage-"
values = { input = "dbfs:/in" }

[[environments.stage.gates]]
kind = "run"
jobs = ["main"]

[environments.production]
host = "http://127.0.0.1:1"
token_env = "TOKEN"
prefix = ""
after = "stage"
values = { input = "dbfs:/in" }
"""
JOB = """resources:
  jobs:
    main:
      name: main
      tasks:
        - task_key: one
          job_cluster_key: c
          spark_jar_task: {main_class_name: Main, parameters: ["${var.input}"]}
          libraries:
            - jar: ${artifact.jar.path}
      job_clusters:
        - job_cluster_key: c
          new_cluster: {spark_version: "${release.spark_version}", node_type_id: n}
"""


def problems(toml: str = TOML, job: str | None = JOB) -> list[str]:
    """What is said of a configuration, as text."""
    found = parse(Files(toml, {} if job is None else {"jobs/main.yml": job}), VARIABLES, known_fields())
    return [] if isinstance(found, Application) else [str(problem) for problem in found]


def test_a_good_configuration_is_read_whole() -> None:
    app = parse(Files(TOML, {"jobs/main.yml": JOB}), VARIABLES, known_fields())
    assert isinstance(app, Application)
    assert (app.name, app.branch, app.version, app.store.url) == ("demo", "main", (1, 0), "file:///store")
    assert app.environments["production"].after == "stage"
    assert app.jobs["main"].location.line == 3


def test_the_example_is_a_good_configuration() -> None:
    variables = {
        "HEADWAY_STORE": "file:///s",
        "HEADWAY_STAGE_HOST": "http://127.0.0.1:1",
        "HEADWAY_PRODUCTION_HOST": "http://127.0.0.1:1",
    }
    assert set(load_application(EXAMPLE, variables).jobs) == {"scoring", "train"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "demo"', 'nmae = "demo"', "headway.toml:2: app.nmae: unknown key (did you mean name?)"),
        ('version = "1.0"', "version = 1.0", "headway.toml:3: app.version: input should be a valid string"),
        ('version = "1.0"', 'version = "1"', "headway.toml:3: app.version: '1' does not have the form"),
        ("${env.STORE}", "${env.NOWHERE}", "headway.toml:7: store.url: the environment variable NOWHERE is not set"),
        ("${env.STORE}", "ftp://x", "headway.toml:7: store.url: 'ftp://x' does not have the form"),
        ('kind = "jar"', 'kind = "wheel"', "headway.toml:15: artifact.0.kind: the scala builder makes jar"),
        ('sources = ["src"]', "", "headway.toml:13: artifact.0: the scala builder needs `sources`"),
        ('command = "true"', 'artifact = "wheel"', "headway.toml:11: test.0.artifact: no artifact wheel is built"),
        ('command = "true"', "", "headway.toml:9: test.0: needs either `command`"),
        (
            'jobs = ["main"]',
            'jobs = ["mian"]',
            "headway.toml:27: environments.stage.gates.0.jobs: there is no job mian",
        ),
        (
            'after = "stage"',
            'after = "stag"',
            "headway.toml:33: environments.production.after: there is no environment",
        ),
        (
            'prefix = ""',
            'prefix = "stage-"',
            "environments.production.prefix: has the workspace and the prefix of stage",
        ),
        ('prefix = "stage-"', 'prefix = "stage-"\nafter = "production"', "after each other in a circle"),
        ("[store]", "[store", "headway.toml:6: not valid TOML"),
    ],
)
def test_a_bad_headway_toml_is_told_with_its_line(old: str, new: str, expected: str) -> None:
    assert old in TOML
    found = problems(TOML.replace(old, new, 1))
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "job_cluster_key: c\n          spark",
            "job_cluster_key: d\n          spark",
            "jobs/main.yml:7: main.tasks.0.job",
        ),
        ("${artifact.jar.path}", "${artifact.jra.path}", "jobs/main.yml:10: main.tasks.0.libraries.0.jar: ${artifact"),
        ("${var.input}", "${var.output}", "jobs/main.yml:8: main.tasks.0.spark_jar_task.parameters.0: ${var.output}"),
        ("${var.input}", "${secret.x}", "unknown reference"),
        ("name: main\n", "nmae: main\n", "jobs/main.yml:4: main.nmae: unknown key (did you mean name?)"),
        ("libraries:", "librarys:", "main.tasks.0.librarys: unknown key (did you mean libraries?)"),
        ("spark_jar_task", "#", "says not what to run"),
        ("  job_clusters:", "  name: again\n      job_clusters:", "jobs/main.yml:11: the key name stands twice"),
        ("resources:", "resources: [", "not valid YAML"),
        ("libraries:", "depends_on: [{task_key: two}]\n          libraries:", "there is no task two in this job"),
        ("libraries:", "depends_on: [{task_key: one}]\n          libraries:", "a task cannot depend on itself"),
    ],
)
def test_a_bad_job_file_is_told_with_its_line(old: str, new: str, expected: str) -> None:
    assert old in JOB
    found = problems(job=JOB.replace(old, new, 1))
    assert any(expected in problem for problem in found), found


def test_all_problems_are_told_at_once() -> None:
    found = problems(
        TOML.replace("prefix", "prefxi").replace('kind = "run"', 'kind = "walk"'), JOB.replace("name: main", "nam: 1")
    )
    assert len(found) >= 5


def test_a_repository_without_job_files_is_told() -> None:
    assert any("no file matches jobs/*.yml" in problem for problem in problems(job=None))


DELIVERY = """
[signing]
required = true
public_keys = ["{key}"]

[[compatibility.allow]]
check = "java"
artifact = "jar"
reason = "an init script installs it"
"""


def test_signing_and_allowed_mismatches_are_read() -> None:
    toml = TOML + DELIVERY.format(key="a" * 64)
    app = parse(Files(toml, {"jobs/main.yml": JOB}), VARIABLES, known_fields())
    assert isinstance(app, Application)
    assert (app.signing.required, app.signing.public_keys) == (True, ("a" * 64,))
    assert [(entry.check, entry.artifact, entry.jobs) for entry in app.allowed_mismatches] == [("java", "jar", ("*",))]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a" * 64, "abc", "headway.toml:38: signing.public_keys.0: 'abc' does not have the form"),
        ("required", "requird", "headway.toml:37: signing.requird: unknown key (did you mean required?)"),
        ('"java"', '"jvm"', "headway.toml:41: compatibility.allow.0.check: input should be 'java', 'scala'"),
        ('"an init script installs it"', '""', "headway.toml:43: compatibility.allow.0.reason: string should have"),
        ("artifact = ", "artefact = ", "compatibility.allow.0.artefact: unknown key (did you mean artifact?)"),
    ],
)
def test_a_wrong_key_or_allowance_is_told_with_its_line(old: str, new: str, expected: str) -> None:
    toml = TOML + DELIVERY.format(key="a" * 64).replace(old, new)
    (told,) = problems(toml)
    assert expected in told
