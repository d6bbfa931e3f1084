"""OAuth 2.0 over HTTP: discovery, the token endpoint (client credentials), secrets of service principals.

Source: RFC 6749, sections 4.4 and 5; RFC 8414.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.responses import JSONResponse, Response

from headway.workspace.auth import ACCESS_SECONDS, Tokens, credentials
from headway.workspace.errors import invalid, missing
from headway.workspace.http import Call, Data, Endpoint, number, text
from headway.workspace.services.identity.routes import ACCOUNT, ORGANISATION
from headway.workspace.services.identity.store import IdentityStore, OAuthSecret

_MOST_LIFETIME = 730 * 86_400


class OAuthRoutes:
    """The routes."""

    def __init__(self, store: IdentityStore, tokens: Tokens) -> None:
        self._store, self._tokens = store, tokens

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        found = [
            Endpoint("GET", "/.well-known/databricks-config", self.configuration, root=True, public=True),
            Endpoint("GET", "/oidc/.well-known/oauth-authorization-server", self.discovery, root=True, public=True),
            Endpoint("POST", "/oidc/v1/token", self.token, root=True, public=True),
        ]
        secrets = "/accounts/servicePrincipals/{id}/credentials/secrets"
        return [
            *found,
            Endpoint("POST", secrets, self.create, admin=True),
            Endpoint("GET", secrets, self.list, admin=True),
            Endpoint("DELETE", f"{secrets}/{{secret_id}}", self.delete, admin=True),
        ]

    def configuration(self, call: Call) -> Data:
        """What clients look up first about a host."""
        return {
            "account_id": ACCOUNT,
            "workspace_id": ORGANISATION,
            "host_type": "workspace",
            "oidc_endpoint": f"{call.base_url}/oidc",
        }

    def discovery(self, call: Call) -> Data:
        """Where tokens are given."""
        return {
            "issuer": f"{call.base_url}/oidc",
            "authorization_endpoint": f"{call.base_url}/oidc/v1/authorize",
            "token_endpoint": f"{call.base_url}/oidc/v1/token",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["token"],
            "scopes_supported": ["all-apis"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }

    def token(self, call: Call) -> Response:
        """An access token for a service principal's id and secret (basic authentication, or in the form)."""
        basic = credentials(call.headers.get("authorization", ""))
        client = basic or (str(call.data.get("client_id", "")), str(call.data.get("client_secret", "")))
        if call.data.get("grant_type") != "client_credentials":
            return _refused("unsupported_grant_type", "only client_credentials is served")
        scopes = str(call.data.get("scope") or "all-apis").split()
        if "all-apis" not in scopes:
            return _refused("invalid_scope", "the only scope is all-apis")
        secret_id = self._store.secret_id(*client)
        if secret_id is None:
            return _refused("invalid_client", "Client authentication failed", 401)
        access = self._tokens.access_token(client[0], secret_id)
        body = {"access_token": access, "token_type": "Bearer", "expires_in": ACCESS_SECONDS, "scope": "all-apis"}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    def create(self, call: Call) -> Data:
        """A new secret; seen only now. `lifetime` is in seconds, as `3600s`."""
        lifetime = None
        if call.data.get("lifetime") is not None:
            given = text(call.data, "lifetime").removesuffix("s").partition(".")[0]
            if not given.isdecimal() or len(given) > 9 or not 0 < int(given) <= _MOST_LIFETIME:
                raise invalid(f"lifetime must be from 1s to {_MOST_LIFETIME}s")
            lifetime = int(given)
        secret, told = self._store.add_secret(self._principal(call), lifetime)
        return {**_told(told), "secret": secret}

    def list(self, call: Call) -> Data:
        """A service principal's secrets, without the secrets."""
        return {"secrets": [_told(secret) for secret in self._store.secrets(self._principal(call))]}

    def delete(self, call: Call) -> Data:
        """Take one back; access tokens that it gave end with it."""
        self._store.remove_secret(self._principal(call), number(call.path, "secret_id"))
        return {}

    def _principal(self, call: Call) -> int:
        given = call.path["id"]
        if not given.isdecimal() or len(given) > 18:
            raise missing(f"Service principal with id {given[:50]} not found.")
        return self._store.get("service_principal", int(given)).principal_id


def _refused(error: str, description: str, status: int = 400) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status_code=status)


def _told(secret: OAuthSecret) -> Data:
    return {
        "id": str(secret.secret_id),
        "secret_hash": secret.sha256,
        "status": "ACTIVE",
        "create_time": _time(secret.created_ms),
        "update_time": _time(secret.created_ms),
        "expire_time": _time(secret.expires_ms),
    }


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
