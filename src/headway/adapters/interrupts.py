"""Ctrl-C: the first one asks to stop, the second one stops at once."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130


class Interrupts:
    """While a context of `gracefully` is open, SIGINT and SIGTERM only ask; a second one ends the process at once, as
    a kill does: what it leaves is resumed like what a kill leaves. At other times they mean what they always mean."""

    @contextmanager
    def gracefully(self) -> Iterator[Callable[[], bool]]:
        """Yields the function that says whether somebody asked to stop."""
        if threading.current_thread() is not threading.main_thread():
            yield lambda: False  # only the main thread hears signals
            return
        asked = threading.Event()

        def ask(number: int, _: FrameType | None) -> None:
            if asked.is_set():
                os._exit(INTERRUPTED)
            asked.set()
            sys.stderr.write("\nstopping once the calls under way have ended; once more stops at once\n")

        former = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield asked.is_set
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
