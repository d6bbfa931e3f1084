"""The way to a workspace: the official SDK's client, and its errors in our words.

The SDK is imported when the first connection is made: its import costs more than most commands take.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headway.core.application import Environment
from headway.core.errors import HeadwayError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

RETRY_SECONDS = 60
TIMEOUT_VARIABLE = "HEADWAY_HTTP_TIMEOUT_SECONDS"


@dataclass(frozen=True)
class Connection:
    """A workspace and the right to use it. `token` serves only the 1.2 routes that the SDK does not have."""

    host: str
    token: str
    token_env: str
    client: "WorkspaceClient"


def connect(environment: Environment, variables: Mapping[str, str]) -> Connection:
    """A connection with the token that `variables` (the process's environment) holds. No call is made yet.

    Raise HeadwayError TOKEN_MISSING where the variable is not set.
    """
    token = variables.get(environment.token_env, "")
    if not token:
        raise HeadwayError("TOKEN_MISSING", host=environment.host, token_env=environment.token_env)
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.config import Config

    timeout = _timeout(variables)

    # The SDK asks the host for its OAuth endpoints first, for up to five minutes where it does not answer: a token
    # needs none of them. Its settings are read off the class itself, so that one of our own would have none.
    config = Config.__new__(Config)
    config._resolve_host_metadata = lambda: None  # type: ignore[method-assign]
    config.__init__(  # type: ignore[misc]
        host=environment.host,
        token=token,
        auth_type="pat",
        retry_timeout_seconds=RETRY_SECONDS,
        http_timeout_seconds=timeout,
        product="headway",
        product_version="0.1.0",
    )
    return Connection(environment.host, token, environment.token_env, WorkspaceClient(config=config))


def _timeout(variables: Mapping[str, str]) -> float:
    """Seconds that a call may take. Raise HeadwayError VARIABLE_INVALID."""
    given = variables.get(TIMEOUT_VARIABLE, "60")
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 60:  # a deployer's lease outlives the longest call
        raise HeadwayError("VARIABLE_INVALID", name=TIMEOUT_VARIABLE, value=given, expected="seconds, at most 60")
    return seconds


@contextmanager
def translated(connection: Connection, call: str) -> Iterator[None]:
    """Turn what the SDK and the network raise inside into HeadwayError. `call` names the call, as `jobs/reset 17`."""
    import requests
    from databricks.sdk.errors.base import DatabricksError
    from databricks.sdk.errors.platform import PermissionDenied, Unauthenticated

    try:
        yield
    except (Unauthenticated, PermissionDenied) as error:
        if isinstance(error, PermissionDenied) and "token" not in str(error).lower():
            raise HeadwayError("WORKSPACE_CALL_FAILED", call=call, host=connection.host, reason=str(error)) from error
        raise HeadwayError("WORKSPACE_REFUSED_TOKEN", host=connection.host, token_env=connection.token_env) from error
    except DatabricksError as error:
        raise HeadwayError("WORKSPACE_CALL_FAILED", call=call, host=connection.host, reason=str(error)) from error
    except (requests.ConnectionError, requests.Timeout, TimeoutError) as error:
        raise HeadwayError("WORKSPACE_UNREACHABLE", host=connection.host, reason=str(error)) from error


def missing() -> tuple[type[Exception], ...]:
    """What the SDK raises for something that is not there: for an `except` clause."""
    from databricks.sdk.errors.platform import InvalidParameterValue, NotFound, ResourceDoesNotExist

    return (NotFound, ResourceDoesNotExist, InvalidParameterValue)
