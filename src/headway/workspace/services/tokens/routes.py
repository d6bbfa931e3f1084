"""Tokens over HTTP: `token/…` for one's own, `token-management/…` for administrators."""

from collections.abc import Callable, Sequence

from headway.workspace.auth import Token, Tokens
from headway.workspace.errors import ApiError, invalid, malformed, missing
from headway.workspace.http import Call, Data, Endpoint, number, text

MOST_TOKENS = 600
MOST_LIFETIME = 730 * 86_400
PrincipalId = Callable[[str, str], int | None]
_EVERYTHING = "all-apis"


class TokenRoutes:
    """The routes. `principal_id` finds a principal's id by kind and name; `most_days` tells how long a token may live
    (0: as long as it likes)."""

    def __init__(self, tokens: Tokens, principal_id: PrincipalId, most_days: Callable[[], int] = lambda: 0) -> None:
        self._tokens, self._principal_id, self._most_days = tokens, principal_id, most_days

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [
            Endpoint("POST", "/token/create", self.create),
            Endpoint("GET", "/token/list", self.list),
            Endpoint("POST", "/token/delete", self.delete),
            Endpoint("PATCH", "/token/{token_id}", self.update),
            Endpoint("POST", "/token-management/on-behalf-of/tokens", self.on_behalf_of, admin=True),
            Endpoint("GET", "/token-management/tokens", self.list_all, admin=True),
            Endpoint("GET", "/token-management/tokens/{token_id}", self.get, admin=True),
            Endpoint("DELETE", "/token-management/tokens/{token_id}", self.delete_any, admin=True),
            Endpoint("PATCH", "/token-management/tokens/{token_id}", self.update_any, admin=True),
        ]

    def create(self, call: Call) -> Data:
        """A token of the caller's own, for `lifetime_seconds` or for ever."""
        call.require("authorization", "tokens", "CAN_USE")
        value, token = self._issue(call, call.user)
        return {"token_value": value, "token_info": _public(token)}

    def _issue(self, call: Call, user_name: str) -> tuple[str, Token]:
        lifetime = None
        if call.data.get("lifetime_seconds") is not None:
            lifetime = number(call.data, "lifetime_seconds")
            if not 0 <= lifetime <= MOST_LIFETIME:
                raise invalid(f"lifetime_seconds must be from 1 to {MOST_LIFETIME}")
        most = self._most_days()
        if most and (not lifetime or lifetime > most * 86_400):
            raise invalid(f"lifetime_seconds must be from 1 to {most * 86_400}: maxTokenLifetimeDays is {most} here")
        _check_scopes(call.data)
        comment = _comment(call.data)
        if self._tokens.count(user_name) >= MOST_TOKENS:
            raise ApiError("QUOTA_EXCEEDED", f"{user_name} has {MOST_TOKENS} tokens, the most there may be")
        return self._tokens.issue(user_name, comment, lifetime or None, call.user)

    def list(self, call: Call) -> Data:
        """The caller's own."""
        return {"token_infos": [_public(token) for token in self._tokens.list(call.user)]}

    def delete(self, call: Call) -> Data:
        """Take one's own back, at once."""
        token_id = text(call.data, "token_id")
        if not self._tokens.revoke(token_id, call.user):
            raise _no_token(token_id)
        return {}

    def update(self, call: Call) -> Data:
        """Say something else of one's own."""
        self._comment(call, call.user)
        return {}

    def update_any(self, call: Call) -> Data:
        """Say something else of anybody's."""
        return self._told(self._comment(call, None))

    def _comment(self, call: Call, owner: str | None) -> Token:
        given = call.data.get("token")
        if not isinstance(given, dict):
            raise malformed("Could not parse request object: Expected object for field token")
        named = {name.strip() for name in text(call.data, "update_mask").split(",")}
        if not named <= {"comment", "scopes", "*"}:
            raise invalid("update_mask may name comment and scopes: nothing else of a token can be changed")
        if named & {"scopes", "*"}:
            _check_scopes(given)
        if named == {"scopes"}:
            raise invalid("a token may do what its owner may: it has no scopes of its own that could be changed")
        found = self._tokens.comment(call.path["token_id"], _comment(given), owner)
        if found is None:
            raise _no_token(call.path["token_id"])
        return found

    def on_behalf_of(self, call: Call) -> Data:
        """A token of a service principal."""
        application_id = text(call.data, "application_id")
        if self._principal_id("service_principal", application_id) is None:
            raise missing(f"Service principal with application id {application_id[:100]} not found.")
        value, token = self._issue(call, application_id)
        return {"token_value": value, "token_info": self._told(token)}

    def list_all(self, call: Call) -> Data:
        """Everybody's, or those that one principal created."""
        by = text(call.data, "created_by_username", "") or None
        found = [self._told(token) for token in self._tokens.list(created_by=by)]
        if call.data.get("created_by_id") not in (None, ""):
            wanted = number(call.data, "created_by_id")
            found = [token for token in found if token["created_by_id"] == wanted]
        return {"token_infos": found}

    def get(self, call: Call) -> Data:
        """One."""
        token_id = call.path["token_id"]
        for token in self._tokens.list():
            if token.token_id == token_id:
                return {"token_info": self._told(token)}
        raise _no_token(token_id)

    def delete_any(self, call: Call) -> Data:
        """Take anybody's back, at once."""
        if not self._tokens.revoke(call.path["token_id"]):
            raise _no_token(call.path["token_id"])
        return {}

    def _told(self, token: Token) -> Data:
        return {
            **_public(token),
            "created_by_username": token.created_by,
            "created_by_id": self._id(token.created_by),
            "owner_id": self._id(token.user_name),
            "workspace_id": 1,
        }

    def _id(self, name: str) -> int:
        return self._principal_id("user", name) or self._principal_id("service_principal", name) or 0


def _public(token: Token) -> Data:
    return {
        "token_id": token.token_id,
        "comment": token.comment,
        "creation_time": token.created_ms,
        "expiry_time": token.expires_ms if token.expires_ms is not None else -1,
    }


def _comment(data: Data) -> str:
    comment = text(data, "comment", "")
    if len(comment) > 255:
        raise invalid("comment has at most 255 characters")
    return comment


def _check_scopes(data: Data) -> None:
    """Raise ApiError where a token is to do less than its owner: it would do all the same."""
    given = data.get("scopes")
    if given not in (None, [], [_EVERYTHING]):
        raise invalid(f"scopes are not served by this workspace: a token may do what its owner may ({_EVERYTHING})")


def _no_token(token_id: str) -> ApiError:
    return missing(f"Token with id {token_id[:100]} does not exist.")
