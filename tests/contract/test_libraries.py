"""Libraries installed by pip and Ivy from registries of our own, on loopback."""

import http.server
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from headway.adapters.spark import default_cache
from headway.workspace.runtime.libraries import install
from headway.workspace.runtime.runtimes import default_runtime
from headway.workspace.runtime.tasks import Library, LocalLibrary, MavenLibrary, PackageLibrary, Runtime


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return default_runtime(default_cache())


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that pip and Ivy find packages in, and nothing else. Its address is in `url`."""
    folder = tmp_path / "registry"
    folder.mkdir()
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    (tmp_path / "url").write_text(url)
    for name, value in {"INDEX_URL": url, "RETRIES": "0", "NO_CACHE_DIR": "1", "FIND_LINKS": ""}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def wheel(folder: Path, name: str, version: str, *needs: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    required = "".join(f"Requires-Dist: {need}\n" for need in needs)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def installed(tmp_path: Path, runtime: Runtime) -> Callable[..., str]:
    """Installs libraries; what Python then says of `expression`."""

    def ask(expression: str, *libraries: Library) -> str:
        found = install(libraries, runtime, tmp_path / "cache")
        path = [str(folder) for folder in found.python_path]
        program = f"import sys; sys.path[:0] = {path!r}; print({expression})"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return ask


def test_a_wheel_comes_with_what_it_needs(registry: Path, tmp_path: Path, installed: Callable[..., str]) -> None:
    wheel(registry / "tiny", "tiny", "1.2")
    wheel(registry / "tiny", "tiny", "2.0")
    own = LocalLibrary("whl", wheel(tmp_path, "app", "1.0", "tiny<2", "pandas"))
    asked = "__import__('app').version, __import__('tiny').version"
    assert installed(asked, own) == "1.0 1.2"
    (registry / "tiny" / "tiny-1.2-py3-none-any.whl").unlink()
    assert installed(asked, own) == "1.0 1.2", "it is kept"


def test_what_spark_works_with_is_not_replaced(registry: Path, tmp_path: Path, installed: Callable[..., str]) -> None:
    wheel(registry / "pandas", "pandas", "99.0")
    assert (
        installed("__import__('pandas').__version__ == '99.0'", LocalLibrary("whl", wheel(tmp_path, "a", "1.0")))
        == "False"
    )
    needy = LocalLibrary("whl", wheel(tmp_path, "b", "1.0", "pandas>=99"))
    with pytest.raises(
        ValueError, match=r"library b-1\.0-py3-none-any\.whl cannot be installed: .*depends on pandas>=99"
    ):
        installed("1", needy)


def test_packages_by_name_and_requirements(registry: Path, tmp_path: Path, installed: Callable[..., str]) -> None:
    wheel(registry / "tiny", "tiny", "1.2")
    assert installed("__import__('tiny').version", PackageLibrary("tiny==1.2")) == "1.2"
    file = tmp_path / "requirements.txt"
    file.write_text("# what we need\ntiny\n")
    assert installed("__import__('tiny').version", LocalLibrary("requirements", file)) == "1.2"
    wheel(registry / "tiny", "tiny", "1.3")
    assert installed("__import__('tiny').version", LocalLibrary("requirements", file)) == "1.3", "not pinned: looked up"
    with pytest.raises(ValueError, match=r"library nothing==1 cannot be installed: .*nothing==1"):
        installed("1", PackageLibrary("nothing==1"))
    with pytest.raises(ValueError, match="is not the name of a package"):
        installed("1", PackageLibrary("--index-url=x"))


def test_jars_by_coordinates_with_what_they_need(registry: Path, tmp_path: Path, runtime: Runtime) -> None:
    for name, needs in (("app", "tiny"), ("tiny", "")):
        folder = registry / "org" / "x" / name / "1.0"
        folder.mkdir(parents=True)
        with zipfile.ZipFile(folder / f"{name}-1.0.jar", "w") as archive:
            archive.writestr(f"{name}.txt", name)
        need = (
            f"<dependency><groupId>org.x</groupId><artifactId>{needs}</artifactId><version>1.0</version></dependency>"
        )
        (folder / f"{name}-1.0.pom").write_text(
            "<project><modelVersion>4.0.0</modelVersion><groupId>org.x</groupId>"
            f"<artifactId>{name}</artifactId><version>1.0</version>"
            f"<dependencies>{need if needs else ''}</dependencies></project>"
        )
    repo = (tmp_path / "url").read_text()
    found = install([MavenLibrary("org.x:app:1.0", repo)], runtime, tmp_path / "cache")
    assert [jar.name for jar in found.jars] == ["org.x_app-1.0.jar", "org.x_tiny-1.0.jar"]
    alone = install([MavenLibrary("org.x:app:1.0", repo, ("org.x:tiny",))], runtime, tmp_path / "cache")
    assert [jar.name for jar in alone.jars] == ["org.x_app-1.0.jar"]
    with pytest.raises(ValueError, match="group:artifact:version"):
        install([MavenLibrary("org.x:app")], runtime, tmp_path / "cache")
