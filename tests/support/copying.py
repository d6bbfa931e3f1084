"""What the `deployJar` notebook does, as a function: the same answer, the same files."""

import base64
import hashlib
import json
import urllib.request
from collections.abc import Callable
from typing import Any

from headway.workspace.runtime.tasks import NotebookTask, TaskRequest
from support.served_workspace import Served


def copying(served: Served) -> Callable[..., str]:
    """The function; put it under the task key `deployJar`."""

    def put(path: str, content: bytes) -> None:
        handle = served.client.dbfs.create(path.removeprefix("dbfs:"), overwrite=True).handle
        for start in range(0, len(content), 1 << 19):
            served.client.dbfs.add_block(handle or 0, base64.b64encode(content[start : start + (1 << 19)]).decode())
        served.client.dbfs.close(handle or 0)

    def act(_: Any, request: TaskRequest, __: Any) -> str:
        assert isinstance(request.task, NotebookTask)
        copied = []
        for file in json.loads(request.task.parameters["files"]):
            content = urllib.request.urlopen(file["source"]).read()  # noqa: S310  (a signed URL of this very test)
            digest = hashlib.sha256(content).hexdigest()
            put(file["target"], content)
            put(f"{file['target']}.sha256", digest.encode())
            copied.append({"target": file["target"], "sha256": digest, "size": len(content)})
        return json.dumps(copied)

    return act
