"""Compares this project's Quartz with the real library, built by Maven beside this file.

    python tests/support/quartz/compare.py 20000            # prints what differs, exit status 1 where anything does
    python tests/support/quartz/compare.py 2500 --golden    # writes the table that `make test` goes by

Run from the project's root, with `src` and `tests` on the path (`.ci/run` does).
"""

import subprocess
import sys
from pathlib import Path

from support.quartz.triples import answer, triples

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.tsv"
BUILD = Path("build/quartz").absolute()


def real(asked: list[tuple[str, str, int]]) -> list[str]:
    """What the real Quartz says."""
    maven = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml")]
    copy = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
    subprocess.run([*maven, copy, f"-DoutputDirectory={BUILD}/lib"], check=True)
    source = HERE / "src/main/java/QuartzSays.java"
    subprocess.run(["javac", "-cp", f"{BUILD}/lib/*", "-d", str(BUILD), str(source)], check=True)
    lines = "".join(f"{text}\t{zone}\t{at}\n" for text, zone, at in asked)
    command = ["java", "-cp", f"{BUILD}:{BUILD}/lib/*", "QuartzSays"]
    said = subprocess.run(
        command, input=lines, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    return said.stdout.split()


def main() -> int:
    """Compare, or write the table."""
    asked = triples(int(sys.argv[1]))
    said = real(asked)
    if "--golden" in sys.argv:
        rows = [f"{text}\t{zone}\t{at}\t{found}\n" for (text, zone, at), found in zip(asked, said, strict=True)]
        GOLDEN.write_text("".join(rows), encoding="utf-8")
        return 0
    different = [(one, found, answer(*one)) for one, found in zip(asked, said, strict=True) if answer(*one) != found]
    for one, found, ours in different[:20]:
        sys.stdout.write(f"{one}: Quartz says {found}, we say {ours}\n")
    sys.stdout.write(f"{len(asked)} compared with the real Quartz, {len(different)} differ\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
