"""The demo's git repository: the example application, then its later commits laid over it."""

import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from headway.adapters.process import run_command
from headway.core.errors import HeadwayError

EXAMPLE = "activity-scoring"
NOT_IN_THE_REPOSITORY = shutil.ignore_patterns(
    "commits", "__pycache__", "build", "dist", "*.egg-info", ".pytest_cache", ".headway-build"
)
AUTHOR = ["-c", "user.name=Ada Example", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]


@dataclass(frozen=True)
class DemoRepository:
    """A git repository at `folder`, made of the example at `example`."""

    folder: Path
    example: Path

    @classmethod
    def create(cls, folder: Path) -> "DemoRepository":
        """Copy the example to `folder` (which must not exist) and make its first, still uncommitted state."""
        example = example_folder()
        shutil.copytree(example, folder, ignore=NOT_IN_THE_REPOSITORY)
        repository = cls(folder, example)
        repository._git("init", "--quiet", "--initial-branch=main")
        return repository

    def commit(self, message: str) -> str:
        """Commit everything; return the commit's hash."""
        self._git("add", "--all")
        self._git(*AUTHOR, "commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD").strip()

    def lay_over(self, name: str) -> str:
        """Copy the files of the example's later commit `name` over the work tree and commit them."""
        source = self.example / "commits" / name
        shutil.copytree(source / "files", self.folder, dirs_exist_ok=True, ignore=NOT_IN_THE_REPOSITORY)
        return self.commit((source / "message.txt").read_text(encoding="utf-8").strip())

    def revert(self, commit: str) -> str:
        """Take one commit back by another one, as a developer would after a red line."""
        self._git(*AUTHOR, "revert", "--no-edit", commit)
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        finished = run_command(["git", *arguments], cwd=self.folder)
        if finished.status != 0:
            raise HeadwayError("GIT_FAILED", command=arguments[0], reason=finished.output.strip())
        return finished.output


def example_folder() -> Path:
    """The example application: inside the installed package, or beside `src` in a checkout."""
    packaged = Path(str(resources.files("headway"))) / "examples" / EXAMPLE
    checkout = Path(__file__).resolve().parents[4] / "examples" / EXAMPLE
    for folder in (packaged, checkout):
        if (folder / "headway.toml").exists():
            return folder
    raise HeadwayError("FOLDER_NOT_FOUND", path=packaged)
