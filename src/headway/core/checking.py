"""What must hold between parts of a configuration that are good by themselves: environments and gates. Pure."""

import difflib
from collections.abc import Callable, Iterable, Iterator

from headway.core.application import Application
from headway.core.diagnostics import Diagnostic

At = Callable[..., Diagnostic]
"""Makes a diagnostic of a path, a message and, where there is one, a hint."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean …?`, or what there is."""
    names = list(known)
    close = difflib.get_close_matches(word, names, 1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(names)}"


def check_environments(app: Application, at: At) -> Iterator[Diagnostic]:
    """Everything that is wrong with an application's environments: their order, their gates, their places."""
    places: dict[tuple[str, str], str] = {}
    for name, environment in app.environments.items():
        path = f"environments.{name}"
        if environment.after is not None and environment.after not in app.environments:
            yield at(
                f"{path}.after",
                f"there is no environment {environment.after}",
                suggestion(environment.after, app.environments),
            )
        seen, current = [name], environment.after
        while current in app.environments:
            if current in seen:
                yield at(
                    f"{path}.after", f"environments come after each other in a circle: {' → '.join([*seen, current])}"
                )
                break
            seen.append(str(current))
            current = app.environments[str(current)].after
        for number, gate in enumerate(environment.gates):
            if gate.kind == "run" and not gate.jobs:
                yield at(f"{path}.gates.{number}", "a run gate needs `jobs`: those that must run to their end")
            if gate.kind == "parity" and (gate.jobs or gate.against not in app.environments or gate.against == name):
                others = ", ".join(other for other in app.environments if other != name) or "none"
                yield at(
                    f"{path}.gates.{number}", f"a parity gate needs `against`, another environment ({others}), alone"
                )
            for job in gate.jobs:
                jobs = app.jobs_in(environment)
                if job not in jobs:
                    yield at(f"{path}.gates.{number}.jobs", f"there is no job {job}", suggestion(job, jobs))
        place = (environment.host, environment.prefix)
        if place in places:
            message = f"has the workspace and the prefix of {places[place]}: their jobs could not be told apart"
            yield at(f"{path}.prefix", message)
        places[place] = name
