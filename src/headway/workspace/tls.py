"""The certificate that the workspace serves with: a given one, or one that it makes for itself."""

import ipaddress
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from headway.core.errors import HeadwayError

_VALID = timedelta(days=397)  # the most that clients take
_RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, both as PEM files."""

    cert: Path
    key: Path


def given(cert: Path, key: Path | None) -> Certificate:
    """A certificate that somebody else made. Raise HeadwayError TLS_UNUSABLE where it does not fit its key."""
    found = Certificate(cert, key or cert)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(found.cert, found.key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise HeadwayError("TLS_UNUSABLE", path=cert, reason=str(error)) from error
    return found


def self_signed(folder: Path, host: str, now: datetime) -> Certificate:
    """The workspace's own certificate, for `host`, localhost and loopback: kept in `folder`, made anew before it ends
    and where `host` is another one."""
    found = Certificate(folder / "cert.pem", folder / "key.pem")
    if _serves(found, host, now):
        return found
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Headway workspace")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=False, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    _write(found.key, pem, 0o600)
    _write(found.cert, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return found


def _names(host: str) -> list[x509.GeneralName]:
    names = ["localhost", *([host] if not _address(host) else [])]
    addresses = {"127.0.0.1", "::1", *([host] if _address(host) else [])}
    return [
        *(x509.DNSName(name) for name in dict.fromkeys(names)),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in sorted(addresses)),
    ]


def _address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _serves(found: Certificate, host: str, now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(found.cert.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        given(found.cert, found.key)
    except (OSError, ValueError, x509.ExtensionNotFound, HeadwayError):
        return False
    wanted = set(_names(host))
    return wanted <= set(names) and certificate.not_valid_after_utc - _RENEW_BEFORE > now.astimezone(UTC)


def _write(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as target:
        target.write(content)
    draft.replace(path)
