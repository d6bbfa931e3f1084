"""Tracebacks as a user wants them."""

import os
import types


def own_frames(thrown: BaseException) -> types.TracebackType | None:
    """The traceback from the user's first frame on: ours, and the loader's, say nothing to them."""
    here = os.path.dirname(__file__)
    frames = thrown.__traceback__
    while frames is not None:
        name = frames.tb_frame.f_code.co_filename
        if not name.startswith((here, "<frozen")) and os.path.basename(name) not in ("runpy.py", "ast.py"):
            return frames
        frames = frames.tb_next
    return thrown.__traceback__
