# Databricks notebook source
# MAGIC %md
# MAGIC # deployJar
# MAGIC Copies built artifacts from the artifact store to where jobs read them. Headway runs it with the parameter
# MAGIC `files`: a JSON list of `{source, target, sha256}`; `source` is a presigned URL. Each file is checked against its
# MAGIC digest before it takes its place.

# COMMAND ----------

import hashlib
import json
import os
import tempfile
import urllib.request

dbutils.widgets.text("files", "[]")
files = json.loads(dbutils.widgets.get("files"))

# COMMAND ----------


def copy(source: str, target: str, sha256: str) -> dict:
    """Download to this machine, check, then move into place."""
    name = target.rsplit("/", 1)[1]
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, name)
        try:
            with urllib.request.urlopen(source, timeout=120) as origin, open(local, "wb") as copied:
                digest = hashlib.sha256()
                while chunk := origin.read(1 << 20):
                    digest.update(chunk)
                    copied.write(chunk)
        except OSError as error:
            # The URL is a secret until it expires: it is not repeated here.
            raise RuntimeError(f"{name} cannot be downloaded: {error}") from None
        if digest.hexdigest() != sha256:
            raise RuntimeError(f"{name} has digest {digest.hexdigest()}, expected {sha256}")
        draft = f"{target}.draft"
        dbutils.fs.cp(f"file:{local}", draft)
        dbutils.fs.mv(draft, target)
        dbutils.fs.put(f"{target}.sha256", sha256, True)
        return {"target": target, "sha256": digest.hexdigest(), "size": os.path.getsize(local)}


# COMMAND ----------

dbutils.notebook.exit(json.dumps([copy(**file) for file in files]))
