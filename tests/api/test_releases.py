"""A release from a commit, by the command line: signed, verified, examined for the jobs it is meant for."""

import os
import stat
from pathlib import Path

import pytest

from headway.workspace.process import Status
from support.served_workspace import Served
from support.tiny_application import TinyApplication


@pytest.fixture(scope="module")
def released(served: Served, tmp_path_factory: pytest.TempPathFactory) -> TinyApplication:
    """An application with one release, 2.5.1, that needs a library."""
    folder = tmp_path_factory.mktemp("released")
    token = folder / "token"
    token.write_text(served.token)
    app = TinyApplication(folder, "signed", Status(True, served.data, url=served.url, token_file=token))
    app.replace("greet/pyproject.toml", 'dynamic = ["version"]', 'dynamic = ["version"]\ndependencies = ["numpy>=1"]')
    app.write("greet/requirements.txt", "numpy==2.1.0\n")
    app.git("remote", "add", "origin", "https://me:secret@example.org/signed.git")
    app.commit("needs numpy")
    assert app.headway("release").status == 0
    return app


def test_a_release_verifies_and_is_shown_with_what_it_needs(released: TinyApplication) -> None:
    done = released.headway("verify-release", "2.5.1", "--output", "json")
    assert done.status == 0, done.err
    assert done.data["good"] is True
    assert all(check["outcome"] == "ok" for check in done.data["checks"])
    shown = released.headway("release", "show", "--output", "json")
    assert shown.status == 0, shown.err
    assert shown.data["components"] == ["pkg:pypi/numpy@2.1.0"]
    predicate = shown.data["statement"]["predicate"]
    assert predicate["buildDefinition"]["resolvedDependencies"][0]["uri"] == "git+https://example.org/signed.git"
    assert predicate["buildDefinition"]["externalParameters"]["commit"] == released.git("rev-parse", "HEAD")
    text = released.headway("release", "show", "2.5.1").out
    assert "✓ greet-2.5.1-py3-none-any.whl" not in text  # its bytes are verify-release's to check
    assert "✓ signature: by key" in text
    assert not any(b"PRIVATE KEY" in content for content in released.stored().values())


def test_a_copied_folder_verifies_offline_with_the_public_key(released: TinyApplication, tmp_path: Path) -> None:
    key = next((released.store / "keys").glob("*.pub"))
    folder = released.store / "signed" / "releases" / "2.5.1"
    offline = {"HEADWAY_CONFIG": str(tmp_path), "HEADWAY_STAGE_HOST": "http://127.0.0.1:9"}
    arguments = ("verify-release", "--folder", str(folder), "--public-key", str(key))
    assert released.headway(*arguments, **offline).status == 0
    (tmp_path / "nonsense.pub").write_text("no key")
    refused = released.headway(*arguments[:-1], str(tmp_path / "nonsense.pub"), **offline)
    assert (refused.status, "cannot be used as a key" in refused.err) == (2, True)


def test_keys_are_listed_and_trusted(released: TinyApplication, tmp_path: Path) -> None:
    (entry,) = released.headway("keys", "list", "--output", "json").data["keys"]
    assert (entry["in_store"], entry["own"], entry["trusted"], entry["pinned"]) == (True, True, True, False)
    elsewhere = {"HEADWAY_CONFIG": str(tmp_path / "elsewhere")}
    trusted = released.headway("keys", "trust", entry["keyid"][:12], "--output", "json", **elsewhere)
    assert trusted.data["keyid"] == entry["keyid"]
    assert released.headway("keys", "trust", "000000000000", **elsewhere).status == 2
    keys = list(Path(os.environ["HEADWAY_CONFIG"], "keys").glob("*.pem"))
    assert keys
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_changed_bytes_are_refused_before_anything_is_touched(released: TinyApplication, served: Served) -> None:
    wheel = released.store / "signed/releases/2.5.1/greet-2.5.1-py3-none-any.whl"
    content = wheel.read_bytes()
    jobs = len(list(served.client.jobs.list()))
    wheel.write_bytes(content + b"x")
    try:
        done = released.headway("deploy", "stage", "--output", "json")
        assert (done.status, done.data["error"]["code"]) == (3, "RELEASE_NOT_GENUINE")
        assert "greet-2.5.1-py3-none-any.whl" in done.data["error"]["message"]
        assert released.headway("verify-release").status == 1
    finally:
        wheel.write_bytes(content)
    record = released.store / "signed/releases/2.5.1/configuration.json"
    text = record.read_text()
    record.write_text(text.replace("stage-", "evil-"))
    try:
        done = released.headway("plan", "stage", "--output", "json")
        assert (done.status, done.data["error"]["code"]) == (3, "RELEASE_NOT_GENUINE")
    finally:
        record.write_text(text)
    assert len(list(served.client.jobs.list())) == jobs
    assert "signed/envs/stage/state.json" not in released.stored()


def test_a_release_that_does_not_fit_a_jobs_runtime_is_refused_before_anything_is_touched(
    released: TinyApplication, served: Served
) -> None:
    done = released.headway("check", "--release", "--output", "json")
    assert (done.status, done.data["fits"]) == (0, True)
    released.replace("greet/pyproject.toml", "[project]", '[project]\nrequires-python = ">=3.11,!=3.11.*,!=3.12.*"')
    released.replace("greet/requirements.txt", "2.1.0", "2.1.1")
    released.replace("jobs/greet.yml", '"${release.spark_version}"', "15.4.x-scala2.12")
    released.commit("for another runtime")
    assert released.headway("release").status == 0
    jobs = len(list(served.client.jobs.list()))
    done = released.headway("deploy", "stage", "--output", "json")
    assert (done.status, done.data["error"]["code"]) == (3, "INCOMPATIBLE")
    assert "greet/greet: greet-2.5.2-py3-none-any.whl requires Python" in done.data["error"]["message"]
    assert "15.4.x-scala2.12 has Python 3.11.11" in done.data["error"]["message"]
    assert len(list(served.client.jobs.list())) == jobs
    assert "signed/envs/stage/state.json" not in released.stored()
    told = released.headway("check", "--release", "--environment", "stage")
    assert told.status == 3
    assert "signed 2.5.2 does not fit stage" in told.out
