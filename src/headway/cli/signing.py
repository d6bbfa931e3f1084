"""`headway verify-release` and `headway keys`: who signed what, and whose signatures count here."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headway.cli.context import load
from headway.cli.output import Format, Output, Result, Root, progress, show
from headway.core.attestation import Verification
from headway.core.errors import HeadwayError

PANEL = "Looking"
FAILED = 1

keys = typer.Typer(help="The keys that sign releases, and those that are trusted here.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("verify-release", rich_help_panel=PANEL)(verify_release)
    keys.command("list")(list_keys)
    keys.command("trust")(trust)
    app.add_typer(keys, name="keys", rich_help_panel=PANEL)


def verification_lines(found: Verification) -> list[str]:
    """A line per check, for a person."""
    marks = {"ok": "✓", "failed": "✗", "absent": "–"}
    return [f"  {marks[c.outcome]} {c.name}{': ' if c.detail else ''}{c.detail}" for c in found.checks]


def verify_release(
    version: Annotated[str | None, typer.Argument(help="Release; without it the last one.")] = None,
    root: Root = ".",
    public_key: Annotated[
        list[str] | None,
        typer.Option("--public-key", help="A PEM file; with it no other key counts. May be given several times."),
    ] = None,
    folder: Annotated[
        str | None, typer.Option("--folder", help="A copy of a release's folder, instead of the store; needs a key.")
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Check a release's signature, provenance, bill of materials and every byte of its artifacts, offline.

    Exit status 1 where anything is not what was signed.
    """
    from headway.delivery import verifying

    given = _read_keys(public_key or [])
    if folder is not None:
        if not given:
            raise typer.BadParameter("a folder has no store whose keys could be known", param_hint="--public-key")
        found = verifying.verify_folder(Path(folder), given)
    else:
        context = load(root, progress())
        release = context.release(version)
        found = verifying.verify_release(
            context.line.store, release.app, str(release.version), context.line.app.signing, keys=given or None
        )

    def text(console: Console) -> None:
        word = "is what was made" if found.good else "is NOT what was made"
        console.print(f"{found.app} {found.version} {word}", markup=False)
        for line in verification_lines(found):
            console.print(line, markup=False)

    show(Result("verify-release", found.to_json(), text), output)
    if not found.good:
        raise typer.Exit(FAILED)


def _read_keys(files: list[str]) -> list[Any]:
    from headway.adapters import signing

    found = []
    for file in files:
        try:
            found.append(signing.public_key(Path(file).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise HeadwayError("SIGNING_KEY_INVALID", what=file, reason=str(error)) from None
    return found


def list_keys(root: Root = ".", output: Output = Format.TEXT) -> None:
    """List the public keys in the store: which of them is this machine's own, and which are trusted."""
    from headway.adapters import signing

    line = load(root, progress()).line
    config = signing.default_config()
    own = signing.signing_key(line.store.url, os.environ, config).public.keyid
    pinned = [signing.public_key(p).keyid if p.startswith("---") else p for p in line.app.signing.public_keys]
    known = signing.KnownKeys(config).of(line.store) or []
    ids = sorted({key.keyid for key in signing.keys_in_store(line.store)} | {own, *pinned, *known})
    here = {key.keyid for key in signing.keys_in_store(line.store)}
    data = [
        {
            "keyid": keyid,
            "in_store": keyid in here,
            "own": keyid == own,
            "trusted": keyid in pinned if pinned else keyid in known,
            "pinned": keyid in pinned,
        }
        for keyid in ids
    ]

    def text(console: Console) -> None:
        table = Table("key id", "in the store", "own", "trusted", box=None, pad_edge=False)
        for entry in data:
            why = "pinned in headway.toml" if entry["pinned"] else "known here" if entry["trusted"] else "no"
            table.add_row(str(entry["keyid"]), "yes" if entry["in_store"] else "no", "yes" if entry["own"] else "", why)
        console.print(table)

    show(Result("keys list", {"keys": data, "required": line.app.signing.required}, text), output)


def trust(
    keyid: Annotated[str, typer.Argument(help="Key id, or the beginning of one (12 digits or more).")],
    root: Root = ".",
    output: Output = Format.TEXT,
) -> None:
    """Trust another key of the store on this machine, for instance that of a new builder."""
    from headway.adapters import signing

    line = load(root, progress()).line
    found = [key.keyid for key in signing.keys_in_store(line.store) if key.keyid.startswith(keyid)]
    if len(found) != 1 or len(keyid) < 12:
        raise HeadwayError("SIGNING_KEY_UNKNOWN", url=line.store.url, keyid=keyid)
    known = signing.KnownKeys(signing.default_config())
    known.first(line.store)
    known.trust(line.store, found)

    def text(console: Console) -> None:
        console.print(f"{found[0]} is trusted here", markup=False)

    show(Result("keys trust", {"keyid": found[0]}, text), output)
