"""What is looked at in a session."""

FEATURES = ("events", "minutes")

# SQL over the columns of `sessions`; one that cannot be computed (no answers) counts as 0.
EXPRESSIONS = {
    "events": "events",
    "minutes": "minutes",
}


def select_list() -> list[str]:
    """The features as SQL, none of them null."""
    return [f"cast(coalesce({EXPRESSIONS[name]}, 0) as double) as {name}" for name in FEATURES]
