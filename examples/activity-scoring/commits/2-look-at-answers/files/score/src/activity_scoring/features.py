"""What is looked at in a session."""

FEATURES = ("correct_ratio", "retries_per_answer", "hints_per_answer", "answer_seconds", "answers", "minutes")

# SQL over the columns of `sessions`; one that cannot be computed (no answers) counts as 0.
EXPRESSIONS = {
    "correct_ratio": "try_divide(correct, answers)",
    "retries_per_answer": "try_divide(answers - correct, answers)",
    "hints_per_answer": "try_divide(hints, answers)",
    "answer_seconds": "answer_seconds",
    "answers": "answers",
    "minutes": "minutes",
}


def select_list() -> list[str]:
    """The features as SQL, none of them null."""
    return [f"cast(coalesce({EXPRESSIONS[name]}, 0) as double) as {name}" for name in FEATURES]
