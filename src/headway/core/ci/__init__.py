"""The line for other CI systems: files for Jenkins, GitHub Actions and GitLab CI that run it with `headway`. Pure.

All of them run the very same commands (`stages`), each in a stage of its own; what differs is how a system is told to
keep secrets, ask somebody, and publish test results.
"""

from collections.abc import Callable, Mapping

from headway.core.ci import github, gitlab, jenkins
from headway.core.ci.line import Facts, Stage, facts_of, stages

__all__ = ["KINDS", "Facts", "Stage", "ci_file", "facts_of", "stages"]

KINDS: Mapping[str, tuple[str, Callable[[Facts], str]]] = {
    "jenkins": ("Jenkinsfile", jenkins.render),
    "github": (".github/workflows/headway.yml", github.render),
    "gitlab": (".gitlab-ci.yml", gitlab.render),
}


def ci_file(kind: str, facts: Facts) -> tuple[str, str]:
    """Where in the repository a system's file lies, and its text. `kind` is a key of KINDS."""
    path, render = KINDS[kind]
    return path, render(facts)
