"""Bad input: a clear error with a code, the right exit status, and nothing changed."""

from collections.abc import Callable

import pytest

from support.tiny_application import TinyApplication

pytestmark = pytest.mark.acceptance
Make = Callable[[str], TinyApplication]


def refused(app: TinyApplication, code: str, status: int, *arguments: str, **variables: str) -> str:
    """Run a command that must be refused, and must leave the store as it is; return the whole error text."""
    before = app.stored()
    done = app.headway(*arguments, "--output", "json", **variables)
    assert (done.status, done.data["error"]["code"]) == (status, code), done.err
    assert app.stored() == before
    problems = [f"{p['file']}:{p['line']} {p['path']} {p['message']}" for p in done.data["error"]["diagnostics"]]
    return "\n".join([done.data["error"]["message"], *problems])


def test_what_is_not_committed_is_not_released(application: Make) -> None:
    app = application("dirty")
    app.write("new.txt", "x")
    assert "new.txt" in refused(app, "GIT_DIRTY", 2, "run")


def test_an_unknown_commit_is_named(application: Make) -> None:
    assert "no-such-branch" in refused(
        application("unknown"), "GIT_UNKNOWN_COMMIT", 2, "run", "--commit", "no-such-branch"
    )


def test_a_folder_without_git_is_named(application: Make) -> None:
    app = application("nogit")
    (app.root / ".git").rename(app.root.parent / "git-elsewhere")
    refused(app, "GIT_NOT_A_REPOSITORY", 2, "run")


def test_a_red_test_stops_the_line_before_the_build(application: Make) -> None:
    app = application("red")
    app.replace("greet/greet.py", "hello", "bye")
    app.commit("red")
    assert "unit" in refused(app, "TESTS_FAILED", 1, "run")


def test_every_problem_of_the_configuration_is_told_at_once(application: Make) -> None:
    app = application("wrong")
    app.replace("headway.toml", 'version = "2.5"', 'version = "2.5"\nbrnach = "main"')
    app.replace(
        "jobs/greet.yml", "job_cluster_key: main\n          depends_on", "job_cluster_key: nope\n          depends_on"
    )
    app.replace("jobs/greet.yml", "${artifact.greet.path}", "${artifact.great.path}")
    told = refused(app, "CONFIGURATION_INVALID", 2, "check")
    assert "headway.toml:5 app.brnach unknown key" in told
    assert "there is no job cluster nope" in told
    app.replace("headway.toml", '\nbrnach = "main"', "")
    told = refused(app, "CONFIGURATION_INVALID", 2, "check")
    assert "jobs/greet.yml:10" in told
    assert "there is no artifact great" in told


def test_a_wheel_of_another_version_is_refused(application: Make) -> None:
    app = application("version")
    app.write("greet/setup.py", "from setuptools import setup\nsetup(version='9.9')\n")
    app.commit("fixed version")
    done = app.headway("release", "--output", "json")
    assert done.data["error"]["code"] == "BUILD_FAILED"
    assert "HEADWAY_VERSION" in done.data["error"]["message"]
    assert not any("release.json" in name for name in app.stored())


@pytest.mark.parametrize(
    ("command", "output", "code"),
    [
        ("true", "out/*.jar", "BUILD_NO_ARTIFACT"),
        ("mkdir out; touch out/a.jar out/b.jar", "out/*.jar", "BUILD_MANY_ARTIFACTS"),
        ("mkdir out; echo no zip > out/a.jar", "out/*.jar", "ARTIFACT_NOT_A_ZIP"),
        ("echo broken; exit 3", "out/*.jar", "BUILD_FAILED"),
    ],
)
def test_a_build_that_makes_no_good_file_is_refused(application: Make, command: str, output: str, code: str) -> None:
    app = application("build")
    artifact = f'[[artifact]]\nname="x"\nkind="jar"\nbuilder="command"\ncommand="{command}"\noutput="{output}"\n'
    app.replace("headway.toml", "[environments.stage]", f"{artifact}\n[environments.stage]")
    app.commit("a build by command")
    done = app.headway("release", "--output", "json")
    assert (done.status, done.data["error"]["code"]) == (1, code)
    assert not any("release.json" in name for name in app.stored())


def test_a_store_that_cannot_be_written_is_named(application: Make) -> None:
    app = application("store")
    (app.root.parent / "file").write_text("a file, not a folder")
    url = (app.root.parent / "file" / "store").as_uri()
    done = app.headway("release", "--output", "json", HEADWAY_STORE=url)
    assert (done.status, done.data["error"]["code"]) == (1, "STORE_UNREACHABLE")


def test_a_store_that_cannot_be_reached_is_named(application: Make) -> None:
    app = application("s3")
    app.replace("headway.toml", "[[test]]", "[[test]]\n# the port of nobody\n")
    app.replace(
        "headway.toml", 'url = "${env.HEADWAY_STORE}"', 'url = "s3://bucket/x"\nendpoint_url = "http://127.0.0.1:9"'
    )
    app.commit("another store")
    done = app.headway("history", "--output", "json", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
    assert (done.status, done.data["error"]["code"]) == (1, "STORE_UNREACHABLE")


def test_a_token_that_is_refused_or_missing_is_named(application: Make) -> None:
    app = application("token")
    assert app.headway("release").status == 0
    told = refused(app, "WORKSPACE_REFUSED_TOKEN", 2, "plan", "stage", HEADWAY_STAGE_TOKEN="dapi-wrong")
    assert "refused the token" in told
    refused(app, "TOKEN_MISSING", 2, "plan", "stage", HEADWAY_STAGE_TOKEN="")


def test_an_unknown_environment_or_version_is_named(application: Make) -> None:
    app = application("names")
    refused(app, "RELEASE_NOT_FOUND", 2, "plan", "stage")
    assert app.headway("release").status == 0
    assert "stage, production" in refused(app, "ENVIRONMENT_UNKNOWN", 2, "plan", "staging")
    refused(app, "RELEASE_NOT_FOUND", 2, "deploy", "stage", "--version", "2.5.99")
    refused(app, "NOT_VERIFIED", 3, "deploy", "production")
    refused(app, "ROLLBACK_IMPOSSIBLE", 2, "rollback", "stage")
    refused(app, "NOTHING_DEPLOYED", 2, "verify", "stage")
