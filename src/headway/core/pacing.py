"""How many calls may be under way at once: additive increase, multiplicative decrease. Pure.

Source: Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance", 1989: of the
linear rules, this one comes to a fair and efficient share.
"""

from dataclasses import dataclass, replace

FEWEST, MOST, FIRST = 1.0, 16.0, 4.0
LONGEST_PAUSE = 60.0
_FIRST_PAUSE = 0.2


@dataclass(frozen=True)
class Window:
    """`size` calls at once, rounded down."""

    size: float = FIRST

    def after_success(self) -> "Window":
        """A call went well: one more at once for every window of them."""
        return replace(self, size=min(MOST, self.size + 1 / self.size))

    def after_refusal(self) -> "Window":
        """The workspace is busy: half as many."""
        return replace(self, size=max(FEWEST, self.size / 2))


def pause(attempt: int, retry_after: float | None, chance: float) -> float:
    """Seconds to wait before the next attempt (`attempt` 1 is the first that failed): what the server says, and never
    less than an exponential backoff, with jitter from `chance` in [0, 1)."""
    backoff = min(LONGEST_PAUSE / 4, _FIRST_PAUSE * 2.0 ** (attempt - 1)) * (0.5 + chance / 2)
    return min(LONGEST_PAUSE, max(backoff, retry_after or 0.0))
