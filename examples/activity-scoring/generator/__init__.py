"""Made-up learners' activity with known truth: xAPI statements, rubric labels, and what an honest reader must find.

`generate` writes a folder; `python -m generator --help` does it from the command line.
"""

from .checking import Agreement, agreement, count_problems
from .generate import Truth, generate, paced

__all__ = ["Agreement", "Truth", "agreement", "count_problems", "generate", "paced"]
