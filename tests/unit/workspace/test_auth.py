"""Tokens: expiry, runs, keys and what is sealed with them, certificates."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headway.core.errors import HeadwayError
from headway.workspace.auth import Tokens
from headway.workspace.database import open_database
from headway.workspace.errors import ApiError
from headway.workspace.keys import Vault, key
from headway.workspace.parsing import json_object
from headway.workspace.principals import Principal
from headway.workspace.tls import given, self_signed

NOW = datetime(2026, 5, 1, tzinfo=UTC)


class People:
    """A directory of everybody who is asked for."""

    def principal(self, name: str) -> Principal | None:
        return Principal(1, "user", name, name)

    def secret_stands(self, secret_id: int, application_id: str) -> bool:
        return secret_id == 7


@pytest.fixture
def tokens(tmp_path: Path) -> tuple[Tokens, list[int]]:
    """Tokens, with a clock that a test sets."""
    time = [1_000_000]
    return Tokens(open_database(tmp_path / "w.db"), People(), b"k" * 32, lambda: time[0]), time


def test_a_token_ends_with_its_lifetime_though_it_is_known(tokens: tuple[Tokens, list[int]]) -> None:
    store, time = tokens
    header = f"Bearer {store.create('ada', 'x', 10)}"
    assert store.principal(header).name == "ada"
    assert store.known(header) is not None
    time[0] += 10_000
    assert store.known(header) is None
    with pytest.raises(ApiError, match="expired"):
        store.principal(header)
    assert store.list("ada") == []


def test_an_access_token_ends_after_an_hour(tokens: tuple[Tokens, list[int]]) -> None:
    store, time = tokens
    header = f"Bearer {store.access_token('app', 7)}"
    assert store.principal(header).name == "app"
    time[0] += 3_600_000
    with pytest.raises(ApiError, match="expired"):
        store.principal(header)
    with pytest.raises(ApiError, match="Invalid"):
        store.principal(f"Bearer {store.access_token('app', 8)}")


def test_the_token_of_a_run_goes_with_the_run(tokens: tuple[Tokens, list[int]]) -> None:
    store, _ = tokens
    one, other = (f"Bearer {store.mint_for_run('ada', run_id)}" for run_id in (1, 2))
    assert store.list() == []
    store.principal(one)
    store.end_run(1)
    with pytest.raises(ApiError, match="Invalid"):
        store.principal(one)
    assert store.principal(other).name == "ada"
    store.end_runs_except({"3"})
    with pytest.raises(ApiError, match="Invalid"):
        store.principal(other)


def test_a_key_is_made_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    first = key(tmp_path / "keys", "secrets")
    assert key(tmp_path / "keys", "secrets") == first
    assert (tmp_path / "keys" / "secrets").stat().st_mode & 0o777 == 0o600
    assert key(tmp_path / "keys", "signing") != first
    (tmp_path / "keys" / "secrets").write_bytes(b"short")
    with pytest.raises(HeadwayError) as caught:
        key(tmp_path / "keys", "secrets")
    assert caught.value.code == "WORKSPACE_KEY"


def test_what_is_sealed_opens_only_in_its_place() -> None:
    vault = Vault(b"k" * 32)
    sealed = vault.seal(b"hush", "scope/key")
    assert b"hush" not in sealed
    assert vault.open(sealed, "scope/key") == b"hush"
    for value, owner, other in (
        (sealed, "scope/other", vault),
        (sealed[:-1] + b"\0", "scope/key", vault),
        (sealed, "scope/key", Vault(b"j" * 32)),
    ):
        with pytest.raises(HeadwayError) as caught:
            other.open(value, owner)
        assert caught.value.code == "WORKSPACE_SEAL"


def test_a_certificate_is_kept_and_made_anew_before_it_ends(tmp_path: Path) -> None:
    first = self_signed(tmp_path, "127.0.0.1", NOW)
    before = first.cert.read_bytes()
    assert first.key.stat().st_mode & 0o777 == 0o600
    assert self_signed(tmp_path, "127.0.0.1", NOW + timedelta(days=300)).cert.read_bytes() == before
    assert self_signed(tmp_path, "127.0.0.1", NOW + timedelta(days=380)).cert.read_bytes() != before
    before = first.cert.read_bytes()
    assert self_signed(tmp_path, "build.example", NOW + timedelta(days=380)).cert.read_bytes() != before
    ssl.create_default_context(cafile=str(first.cert))


def test_a_certificate_without_its_key_is_told_before_anything_starts(tmp_path: Path) -> None:
    made = self_signed(tmp_path / "a", "127.0.0.1", NOW)
    other = self_signed(tmp_path / "b", "127.0.0.1", NOW)
    with pytest.raises(HeadwayError) as caught:
        given(made.cert, other.key)
    assert caught.value.code == "TLS_UNUSABLE"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": -Infinity}',
        b'{"a": "\\ud800"}',
        b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"a": ' + b"1" * 5000 + b"}",
        b"\xff\xfe",
    ],
)
def test_json_that_cannot_be_worked_with_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        json_object(body)
    assert caught.value.error_code == "MALFORMED_REQUEST"


def test_json_that_can_be_worked_with() -> None:
    body = b'{"a": ' + b"[" * 60 + b"]" * 60 + b', "b": "\\ud83d\\ude00", "c": 1.5}'
    assert json_object(body)["b"] == "\U0001f600"
