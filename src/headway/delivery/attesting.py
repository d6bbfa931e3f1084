"""Sign a release: its bill of materials and the statement that lie beside its artifacts."""

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping

from headway.adapters.clock import Clock, stamp
from headway.adapters.git import Repository
from headway.adapters.objectstore import ObjectStore
from headway.adapters.signing import KnownKeys, SigningKey, default_config, public_key, publish_key, signing_key
from headway.core.application import SigningSettings
from headway.core.attestation import FILE_NAME, PAYLOAD_TYPE, Origin, make_statement
from headway.core.configuration import Files
from headway.core.errors import HeadwayError
from headway.core.release import Release
from headway.delivery.ledger import owner
from headway.delivery.releasing import CONFIGURATION, RECORD, configuration_bytes, record_bytes
from headway.delivery.sbom import FILE_NAME as SBOM
from headway.delivery.toolchain import Toolchain

_CREDENTIALS = re.compile(r"^([a-z+]+://)[^/@]*@")


def key_for(store: ObjectStore, signing: SigningSettings) -> SigningKey:
    """The key that signs releases for a store. Raise HeadwayError SIGNING_KEY_INVALID, also where headway.toml trusts
    other keys only: what it signed could never be deployed."""
    key = signing_key(store.url, os.environ, default_config())
    pinned = [public_key(pin).keyid if pin.startswith("-----") else pin for pin in signing.public_keys]
    if pinned and key.public.keyid not in pinned:
        reason = "it is not among the [signing] public_keys of headway.toml"
        raise HeadwayError("SIGNING_KEY_INVALID", what=f"the key {key.public.keyid}", reason=reason)
    return key


def sign_release(
    store: ObjectStore, key: SigningKey, release: Release, configuration: Files, sbom: bytes, origin: Origin
) -> Mapping[str, bytes]:
    """The files that lie beside the artifacts, by name. The public key goes into the store, and is trusted here."""
    known = KnownKeys(default_config())
    known.first(store)
    publish_key(store, key.public)
    known.trust(store, [key.public.keyid])
    contents = {SBOM: sbom, CONFIGURATION: configuration_bytes(configuration), RECORD: record_bytes(release)}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    envelope = key.sign(make_statement(release, digests, origin), PAYLOAD_TYPE)
    return {SBOM: sbom, FILE_NAME: json.dumps(envelope, indent=2).encode()}


def origin_of(repository: Repository | None, tools: Toolchain, started_at: str, clock: Clock) -> Origin:
    """Where this process makes a release, and with what."""
    from headway import __version__

    versions = {
        "headway": __version__,
        "python": platform.python_version(),
        "spark": tools.spark,
        "scala": tools.installed.scala_library,
    }
    remote = _CREDENTIALS.sub(r"\1", repository.remote()) if repository is not None else ""
    return Origin(remote, owner(), versions, started_at, stamp(clock.now()))
