"""The dashboard: pages rendered on the server over the CI engine, its workspace and the report.

Owns what people see in a browser: login, sessions, forms. Decides nothing of its own: what a page shows and a form
does, `pipeline` says and does. Every script and style is a file of ours; nothing is inline (see `door.POLICY`).
"""

from headway.pipeline.server import Server
from headway.web.assembly import routes

__all__ = ["Server", "routes"]
