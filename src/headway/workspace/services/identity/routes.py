"""SCIM `Me`: the caller's own name."""

from collections.abc import Sequence

from starlette.responses import JSONResponse

from headway.workspace.http import Call, Endpoint

ORGANISATION = "1"
SCHEMAS = ["urn:ietf:params:scim:schemas:core:2.0:User"]


class IdentityRoutes:
    """The routes."""

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return [Endpoint("GET", "/preview/scim/v2/Me", self.me)]

    def me(self, call: Call) -> JSONResponse:
        """The caller."""
        body = {
            "schemas": SCHEMAS,
            "id": "1",
            "userName": call.user,
            "displayName": call.user,
            "active": True,
            "emails": [{"value": call.user, "primary": True, "type": "work"}],
            "groups": [{"display": "admins"}],
        }
        return JSONResponse(body, headers={"X-Databricks-Org-Id": ORGANISATION})
