"""The files for other CI systems: read by the field's own schemas and parsers, their commands by our own program."""

import json
import re
import shlex
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tree_sitter_groovy
import typer
import yaml
from tree_sitter import Language, Node, Parser
from typer.testing import CliRunner

from headway.cli.main import app
from headway.core.ci import KINDS, Facts, ci_file, facts_of, stages

TOML: dict[str, Any] = {
    "app": {"name": "it's", "branch": "release/1"},
    "store": {"url": "${env.STORE}", "endpoint": "${env.S3_SECRET_KEY}"},
    "test": [{"name": "unit", "junit": ["reports/*.xml", "more/*.xml"]}],
    "environments": {
        "production": {"after": "stage", "approval": True, "token_env": "PRODUCTION", "host": "${env.HOST}"},
        "stage": {"token_env": "STAGE_TOKEN", "gates": [{"kind": "run", "jobs": ["a"]}]},
    },
}
SCHEMAS = {"github": "github-workflows.json", "gitlab": "gitlab-ci.json"}
LINE = ["check", "test", "release", "deploy stage", "verify stage", "plan production", "deploy production"]


def facts(folder: str = "") -> Facts:
    return facts_of(TOML, folder)


def parsed(kind: str, text: str) -> Any:
    """YAML as these systems read it: `on` is a word."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        key: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
        for key, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    data = yaml.load(text, Loader)  # noqa: S506  (a safe loader)
    return json.loads(json.dumps(data).replace('"true"', "true").replace('"false"', "false"))


def commands(kind: str, text: str) -> list[str]:
    """The commands of a file, stage by stage."""
    if kind == "jenkins":
        found = [match.replace("\\'", "'").replace("\\\\", "\\") for match in re.findall(r"sh '(.*)'\n", text)]
    elif kind == "github":
        jobs = parsed(kind, text)["jobs"].values()
        found = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    else:
        data = parsed(kind, text)
        found = [line for stage in data["stages"] for line in data[stage]["script"]]
    return [command for command in found if command.startswith("headway ")]


def test_the_facts_are_those_of_the_file_with_nothing_resolved() -> None:
    found = facts("sub/app")
    assert [place.name for place in found.places] == ["stage", "production"]
    assert found.variables == ("HOST", "STORE")
    assert found.secrets == ("PRODUCTION", "S3_SECRET_KEY", "STAGE_TOKEN")
    assert found.junit[0] == "build/headway/run-*/checkout/sub/app/reports/*.xml"
    circle = facts_of({"environments": {"a": {"after": "b"}, "b": {"after": "a"}}})
    assert {place.name for place in circle.places} == {"a", "b"}


def test_a_stage_is_given_only_the_secrets_that_it_needs() -> None:
    given = {stage.id: set(stage.secrets) for stage in stages(facts())}
    assert given["check"] == given["test"] == {"S3_SECRET_KEY"}
    assert given["release"] == {"S3_SECRET_KEY", "HEADWAY_SIGNING_KEY"}
    assert given["deploy-stage"] == {"S3_SECRET_KEY", "STAGE_TOKEN"}
    assert given["deploy-production"] == {"S3_SECRET_KEY", "STAGE_TOKEN", "PRODUCTION"}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("folder", ["", "my app/spark"])
def test_every_stage_runs_a_command_that_this_program_has(kind: str, folder: str) -> None:
    _, text = ci_file(kind, facts(folder))
    found = commands(kind, text)
    program = typer.main.get_command(app)
    said = []
    for command in found:
        _, name, *arguments = shlex.split(command)
        subcommand = program.commands[name]  # type: ignore[attr-defined]
        context = subcommand.make_context(name, arguments)
        assert context.params["root"] == (folder or "."), command
        said.append(" ".join([name, *([context.params["environment"]] if context.params.get("environment") else [])]))
    assert said == LINE
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("kind", list(SCHEMAS))
def test_the_file_follows_the_systems_own_schema(kind: str) -> None:
    _, text = ci_file(kind, facts())
    folder = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / SCHEMAS[kind]).read_text())
    jsonschema.validators.validator_for(schema)(schema).validate(parsed(kind, text))


def nodes(node: Node) -> list[Node]:
    return [node, *(found for child in node.children for found in nodes(child))]


def test_the_jenkinsfile_is_groovy_of_the_declarative_form() -> None:
    _, text = ci_file("jenkins", facts())
    tree = Parser(Language(tree_sitter_groovy.language())).parse(text.encode())
    assert not tree.root_node.has_error
    wrong = text.replace("  stages {", "  stages ((", 1)
    assert Parser(Language(tree_sitter_groovy.language())).parse(wrong.encode()).root_node.has_error

    sections = outline(text)
    assert list(sections) == ["pipeline"]
    assert list(sections["pipeline"]) == ["options", "environment", "stages"]
    titles = list(sections["pipeline"]["stages"])
    assert titles == [
        "stage('Set up')",
        *(f"stage('{stage.title}')" for stage in stages(facts())),
    ]
    for title, stage in sections["pipeline"]["stages"].items():
        assert set(stage) <= {"when", "input", "environment", "steps", "post"}, title
        assert "steps" in stage
    assert "input" in sections["pipeline"]["stages"]["stage('Deploy to production')"]
    assert "when" not in sections["pipeline"]["stages"]["stage('Test')"]


def outline(text: str) -> dict[str, Any]:
    """The blocks of a file whose every block opens at a line's end and closes on a line of its own."""
    root: dict[str, Any] = {}
    path = [root]
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.endswith("{"):
            made: dict[str, Any] = {}
            path[-1][stripped[:-1].strip()] = made
            path.append(made)
        elif stripped == "}":
            path.pop()
    assert len(path) == 1
    return root


@pytest.mark.parametrize("kind", list(KINDS))
def test_test_results_are_published_also_where_tests_fail(kind: str) -> None:
    _, text = ci_file(kind, facts())
    pattern = "build/headway/run-*/checkout/reports/*.xml"
    if kind == "jenkins":
        post = text[text.index("stage('Test')") : text.index("stage('Release')")]
        assert f"always {{\n          junit allowEmptyResults: true, testResults: '{pattern}, " in post
    elif kind == "github":
        steps = parsed(kind, text)["jobs"]["test"]["steps"]
        report = next(step for step in steps if "junit" in step.get("uses", ""))
        assert (report["if"], pattern in report["with"]["report_paths"]) == ("always()", True)
    else:
        kept = parsed(kind, text)["test"]["artifacts"]
        assert (kept["when"], kept["reports"]["junit"][0]) == ("always", pattern)


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_needs_an_approval_waits_for_somebody(kind: str) -> None:
    _, text = ci_file(kind, facts())
    if kind == "jenkins":
        assert text.count("input {") == 1
    elif kind == "github":
        assert parsed(kind, text)["jobs"]["deploy-production"]["environment"] == "production"
    else:
        rule = parsed(kind, text)["deploy-production"]["rules"][0]
        assert (rule["when"], rule["allow_failure"]) == ("manual", False)


@pytest.mark.parametrize(("kind", "name"), [(kind, path) for kind, (path, _) in KINDS.items()])
def test_init_writes_it_and_overwrites_nothing_unless_told(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / ".git").mkdir()
    root = tmp_path / "app"
    root.mkdir()

    def init(*options: str) -> tuple[int, str]:
        found = CliRunner().invoke(app, ["init", "--root", str(root), "--ci", kind, *options])
        return found.exit_code, str(found.exception or "")

    assert init() == (0, "")
    written = (tmp_path / name).read_text()
    assert "--root app" in written
    assert (root / "headway.toml").exists()
    (root / "headway.toml").write_text((root / "headway.toml").read_text() + "\n# mine\n")
    (tmp_path / name).write_text("mine")
    status, said = init()
    assert status == 1  # the console script makes 2 of the error
    assert "exists and is not overwritten" in said
    assert (tmp_path / name).read_text() == "mine"
    assert init("--force")[0] == 0
    assert (tmp_path / name).read_text() == written
    assert (root / "headway.toml").read_text().endswith("# mine\n")
    (root / "headway.toml").write_text("no toml [")
    assert "1 problem(s) in the configuration" in init("--force")[1]
