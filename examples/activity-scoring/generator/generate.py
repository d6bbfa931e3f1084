"""Sessions of learners on tasks, as xAPI 1.0.3 statements.

A learner has a skill, a task a difficulty; together they decide the rubric level (1 to 4), how often answers are right,
how long they take, how many hints are asked for and how often an answer is tried again. Fields of a statement: `id`,
`actor.account`, `verb.id` (initialized, interacted, asked, answered, completed), `object.id` (the task), `timestamp`,
`result` (`success`, `score.scaled`, `duration` as ISO 8601), `context.registration` (the session's own id).

Mixed in, as a real feed has them: lines that are not statements, and statements that were sent twice.
"""

import json
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

TASKS = {"pendulum": 0.05, "circuits": 0.15, "titration": 0.25}
VERBS = "http://adlnet.gov/expapi/verbs/"
FIRST_DAY = datetime(2026, 3, 2, 8, tzinfo=UTC)


@dataclass
class Truth:
    """What is known of a generated folder. `levels` by registration; the rest counts lines."""

    levels: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    malformed: int = 0
    duplicates: int = 0

    def plus(self, other: "Truth") -> "Truth":
        """Both together."""
        return Truth(
            {**self.levels, **other.levels},
            self.lines + other.lines,
            self.malformed + other.malformed,
            self.duplicates + other.duplicates,
        )


def generate(
    folder: Path,
    *,
    learners: int,
    seed: int,
    day: int = 1,
    malformed_rate: float = 0.01,
    duplicate_rate: float = 0.02,
    labelled_fraction: float = 0.0,
    rater_noise: float = 0.05,
    files: int = 2,
) -> Truth:
    """Write one day: `statements/day-NN-K.json`, `labels/day-NN.json` (for that fraction of sessions) and
    `truth-NN.json`. Every learner does every task once. The same arguments give the same bytes."""
    chance = random.Random(f"{seed}/{day}")
    truth = Truth()
    lines: list[str] = []
    labels: list[str] = []
    for number in range(learners):
        skill = random.Random(f"{seed}/learner/{number}").random()
        at = FIRST_DAY + timedelta(days=day - 1, minutes=chance.uniform(0, 300))
        for task, difficulty in TASKS.items():
            registration = str(uuid.UUID(int=chance.getrandbits(128), version=4))
            ability = min(0.999, max(0.0, skill + chance.gauss(0, 0.04) - difficulty + 0.15))
            level = 1 + int(ability * 4)
            truth.levels[registration] = level
            session = list(_session(chance, f"learner-{seed}-{number:04d}", task, registration, ability, at))
            lines += [json.dumps(statement, separators=(",", ":")) for statement in session]
            at = datetime.fromisoformat(session[-1]["timestamp"]) + timedelta(minutes=chance.uniform(1, 5))
            if chance.random() < labelled_fraction:
                rated = level if chance.random() > rater_noise else min(4, max(1, level + chance.choice((-1, 1))))
                labels.append(json.dumps({"registration": registration, "level": rated}))
    _spoil(lines, chance, malformed_rate, duplicate_rate, truth)
    truth.lines = len(lines)
    for part in range(files):
        _write(folder / "statements" / f"day-{day:02d}-{part}.json", lines[part::files])
    if labels:
        _write(folder / "labels" / f"day-{day:02d}.json", labels)
    _write(folder / f"truth-{day:02d}.json", [json.dumps(asdict(truth))])
    return truth


def _session(
    chance: random.Random, learner: str, task: str, registration: str, ability: float, at: datetime
) -> Iterator[dict]:
    def statement(verb: str, seconds: float, **result: object) -> dict:
        nonlocal at
        at += timedelta(seconds=seconds)
        made = {
            "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "actor": {"account": {"homePage": "https://learn.example.org", "name": learner}},
            "verb": {"id": VERBS + verb},
            "object": {"id": f"https://learn.example.org/tasks/{task}"},
            "timestamp": at.isoformat(timespec="milliseconds"),
            "context": {"registration": registration},
        }
        if result:
            made["result"] = result
        return made

    yield statement("initialized", 1)
    right = 0
    questions = chance.randint(6, 9)
    for _ in range(questions):
        for _attempt in range(3):
            for _ in range(chance.randint(0, 3)):
                yield statement("interacted", chance.uniform(1, 8))
            if chance.random() < 0.55 * (1 - ability):
                yield statement("asked", chance.uniform(1, 5))
            seconds = max(2.0, chance.lognormvariate(3.2, 0.35) * (1.6 - ability))
            success = chance.random() < 0.1 + 0.85 * ability
            yield statement("answered", seconds, success=success, duration=_duration(seconds))
            if success:
                right += 1
                break
    yield statement("completed", 2, score={"scaled": round(right / questions, 3)}, duration=_duration(60 * questions))


def _duration(seconds: float) -> str:
    """ISO 8601, as clients send it: with minutes from a minute on."""
    if seconds < 60:
        return f"PT{seconds:.1f}S"
    return f"PT{int(seconds // 60)}M{seconds % 60:.1f}S"


def _spoil(lines: list[str], chance: random.Random, malformed: float, duplicates: float, truth: Truth) -> None:
    """Mix in lines sent twice and lines that are no statements; originals stay."""
    truth.duplicates = round(len(lines) * duplicates)
    truth.malformed = round(len(lines) * malformed)
    extra = chance.sample(lines, truth.duplicates)
    for number in range(truth.malformed):
        victim = json.loads(chance.choice(lines))
        victim["id"] = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        match number % 3:
            case 0:
                extra.append(json.dumps(victim)[: chance.randint(5, 40)])
            case 1:
                del victim["actor"]
                extra.append(json.dumps(victim))
            case 2:
                victim["timestamp"] = "yesterday"
                extra.append(json.dumps(victim))
    for line in extra:
        lines.insert(chance.randint(0, len(lines)), line)


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def paced(lines: list[str], per_second: float) -> Iterator[str]:
    """The lines one by one, at most so many a second: a live feed."""
    began = time.monotonic()
    for number, line in enumerate(lines):
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        yield line
