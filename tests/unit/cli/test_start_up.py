"""The command line starts without what is slow to import: every command pays for what all import."""

import subprocess
import sys

SLOW = (
    "databricks.sdk",
    "boto3",
    "pyarrow",
    "numpy",
    "pandas",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "dbos",
    "alembic",
)


def test_the_command_line_starts_without_slow_libraries() -> None:
    code = f"import sys, headway.cli.main; print(*(name for name in {SLOW!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [], "import these in the function that needs them"
