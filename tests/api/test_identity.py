"""Users, groups, service principals, their tokens and OAuth, through the official client."""

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.common.types.fieldmask import FieldMask
from databricks.sdk.core import Config
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound, PermissionDenied, ResourceConflict
from databricks.sdk.service.iam import ComplexValue, Patch, PatchOp, PatchSchema
from databricks.sdk.service.settings import PublicTokenInfo, TokenInfo
from databricks.sdk.service.workspace import ImportFormat, Language

from support.served_workspace import Served, as_user

PATCH = [PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]


def mask(*names: str) -> FieldMask:
    """The fields that a change names."""
    return FieldMask(list(names))  # type: ignore[no-untyped-call]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def machine(served: Served) -> Iterator[tuple[str, str, str]]:
    """A service principal: id, application id, secret."""
    client = served.client
    made = client.service_principals.create(display_name="deployer")
    assert made.id
    assert made.application_id
    secret = client.service_principal_secrets_proxy.create(made.id).secret
    assert secret
    yield made.id, made.application_id, secret
    client.service_principals.delete(made.id)


def test_a_user_lives_through_scim(served: Served) -> None:
    users = served.client.users
    made = users.create(user_name="Ada@example.com", display_name="Ada")
    assert made.id
    with pytest.raises(ResourceConflict, match="already exists"):
        users.create(user_name="ada@EXAMPLE.com")
    assert [found.id for found in users.list(filter='userName eq "ada@example.com"')] == [made.id]
    assert [found.id for found in users.list(filter='userName sw "ada" and not (active eq false)')] == [made.id]
    users.patch(made.id, schemas=PATCH, operations=[Patch(op=PatchOp.REPLACE, path="displayName", value="Ada L.")])
    users.patch(
        made.id,
        schemas=PATCH,
        operations=[Patch(op=PatchOp.ADD, path="entitlements", value=[{"value": "allow-cluster-create"}])],
    )
    found = users.get(made.id)
    assert (found.display_name, [one.value for one in found.entitlements or []]) == ("Ada L.", ["allow-cluster-create"])
    assert [group.display for group in found.groups or []] == ["users"]
    users.delete(made.id)
    with pytest.raises(NotFound, match="not found"):
        users.get(made.id)


def test_pages_of_users_hold_everybody_once(served: Served) -> None:
    names = {f"page{count}@example.com" for count in range(7)}
    ids = [served.client.users.create(user_name=name).id for name in names]
    listed = [found.user_name for found in served.client.users.list(filter='userName sw "page"', count=3)]
    assert sorted(filter(None, listed)) == sorted(names)
    for one in ids:
        served.client.users.delete(one or "")


@pytest.mark.parametrize("text", ["userName eq", "userName zz 1", "(userName eq 1", "not", 'a eq "x', ")", "a b c d"])
def test_a_filter_that_means_nothing_is_refused(served: Served, text: str) -> None:
    with pytest.raises(BadRequest, match="is not a SCIM filter"):
        list(served.client.users.list(filter=text))


def test_a_member_of_a_group_in_admins_administers(served: Served) -> None:
    ada = as_user(served, "nested@example.com")
    me = ada.current_user.me()
    with pytest.raises(PermissionDenied, match=r"nested@example\.com is not an administrator"):
        ada.users.create(user_name="x@example.com")
    groups = served.client.groups
    team = groups.create(display_name="team", members=[ComplexValue(value=me.id)])
    admins = next(iter(groups.list(filter='displayName eq "admins"')))
    assert team.id
    assert admins.id
    add = Patch(op=PatchOp.ADD, path="members", value=[{"value": team.id}])
    groups.patch(admins.id, schemas=PATCH, operations=[add])
    assert {group.display for group in ada.current_user.me().groups or []} == {"admins", "users", "team"}
    with pytest.raises(BadRequest, match="cannot be a member of itself"):
        groups.patch(
            team.id, schemas=PATCH, operations=[Patch(op=PatchOp.ADD, path="members", value=[{"value": admins.id}])]
        )
    remove = Patch(op=PatchOp.REMOVE, path=f'members[value eq "{team.id}"]')
    groups.patch(admins.id, schemas=PATCH, operations=[remove])
    with pytest.raises(PermissionDenied):
        ada.users.create(user_name="x@example.com")
    groups.delete(team.id)


def test_the_last_administrator_stays(served: Served) -> None:
    groups = served.client.groups
    admins = next(iter(groups.list(filter='displayName eq "admins"')))
    assert admins.id
    with pytest.raises(BadRequest, match="must keep an active administrator"):
        groups.patch(admins.id, schemas=PATCH, operations=[Patch(op=PatchOp.REMOVE, path="members")])
    with pytest.raises(BadRequest, match="cannot be deleted"):
        groups.delete(admins.id)
    assert served.client.current_user.me().user_name == "admin@headway.local"


def test_a_token_works_until_it_is_taken_back_and_not_a_moment_longer(served: Served) -> None:
    client = as_user(served, "tokens@example.com")
    made = client.tokens.create(comment="laptop", lifetime_seconds=3600)
    assert made.token_value
    assert made.token_info
    url = f"{served.url}/api/2.0/preview/scim/v2/Me"
    for _ in range(2):  # the second time from what is known
        assert requests.get(url, headers=bearer(made.token_value), timeout=9).status_code == 200
    assert made.token_info.expiry_time == (made.token_info.creation_time or 0) + 3_600_000
    assert made.token_value not in str(list(client.tokens.list()))
    client.tokens.delete(made.token_info.token_id or "")
    assert requests.get(url, headers=bearer(made.token_value), timeout=9).status_code == 403
    with pytest.raises(NotFound, match="does not exist"):
        client.tokens.delete(made.token_info.token_id or "")


def test_what_a_token_says_of_itself_can_be_changed_by_its_owner_and_administrators(served: Served) -> None:
    one, other = as_user(served, "tellme@example.com"), as_user(served, "nosy@example.com")
    made = one.tokens.create(comment="laptop").token_info
    assert made
    assert made.token_id
    one.tokens.update(made.token_id, PublicTokenInfo(comment="desk"), mask("comment"))
    assert "desk" in {token.comment for token in one.tokens.list()}
    with pytest.raises(NotFound, match="does not exist"):
        other.tokens.update(made.token_id, PublicTokenInfo(comment="mine"), mask("comment"))
    with pytest.raises(PermissionDenied):
        one.token_management.update_token_management(made.token_id, TokenInfo(comment="x"), mask("comment"))
    told = served.client.token_management.update_token_management(
        made.token_id, TokenInfo(comment="ours"), mask("comment")
    )
    assert (told.comment, told.created_by_username) == ("ours", "tellme@example.com")
    for field in ("scopes", "expiry_time"):
        with pytest.raises(BadRequest):
            one.tokens.update(made.token_id, PublicTokenInfo(scopes=["sql"], expiry_time=1), mask(field))
    with pytest.raises(BadRequest, match="scopes are not served"):
        one.tokens.create(comment="less", scopes=["sql"])


def test_settings_of_the_workspace_hold(served: Served) -> None:
    conf, ada = served.client.workspace_conf, as_user(served, "conf@example.com")
    assert conf.get_status("maxTokenLifetimeDays,enableExportNotebook") == {
        "maxTokenLifetimeDays": "",
        "enableExportNotebook": "true",
    }
    ada.workspace.upload(
        "/Users/conf@example.com/n", io.BytesIO(b"1"), format=ImportFormat.SOURCE, language=Language.PYTHON
    )
    conf.set_status({"maxTokenLifetimeDays": "7", "enableExportNotebook": "false"})
    try:
        for seconds in (None, 8 * 86_400):
            with pytest.raises(BadRequest, match="maxTokenLifetimeDays is 7"):
                ada.tokens.create(lifetime_seconds=seconds)
        assert ada.tokens.create(lifetime_seconds=86_400).token_value
        with pytest.raises(PermissionDenied, match="Exporting notebooks is disabled"):
            ada.workspace.export("/Users/conf@example.com/n")
    finally:
        conf.set_status({"maxTokenLifetimeDays": "0", "enableExportNotebook": "true"})
    assert ada.tokens.create().token_value
    assert ada.workspace.export("/Users/conf@example.com/n").content
    with pytest.raises(PermissionDenied):
        ada.workspace_conf.get_status("maxTokenLifetimeDays")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"enableTokensConfig": "false"}, "cannot be changed: without tokens nobody could sign in"),
        ({"maxTokenLifetimeDays": "731"}, "maxTokenLifetimeDays must be a number of days"),
        ({"enableExportNotebook": "true", "noSuchThing": "true"}, "Invalid keys: .noSuchThing"),
        ({"enableExportNotebook": "maybe"}, "enableExportNotebook must be true or false"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(served: Served, values: dict[str, str], why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        served.client.workspace_conf.set_status(values)


def test_nobody_takes_back_the_token_of_another_but_an_administrator(served: Served) -> None:
    one, other = as_user(served, "one@example.com"), as_user(served, "other@example.com")
    made = one.tokens.create(comment="mine").token_info
    assert made
    assert made.token_id
    with pytest.raises(NotFound):
        other.tokens.delete(made.token_id)
    with pytest.raises(PermissionDenied):
        list(other.token_management.list())
    told = served.client.token_management.get(made.token_id).token_info
    assert told
    assert told.created_by_username == "one@example.com"
    served.client.token_management.delete(made.token_id)
    assert made.token_id not in {token.token_id for token in one.tokens.list()}


def test_a_deactivated_user_is_out_at_once(served: Served) -> None:
    client = as_user(served, "leaver@example.com")
    me = client.current_user.me()
    operation = Patch(op=PatchOp.REPLACE, path="active", value="false")
    served.client.users.patch(me.id or "", schemas=PATCH, operations=[operation])
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        client.current_user.me()


def test_a_machine_signs_in_with_its_secret(served: Served, machine: tuple[str, str, str]) -> None:
    id_, application_id, secret = machine
    config = Config(host=served.url, client_id=application_id, client_secret=secret, auth_type="oauth-m2m")
    client = WorkspaceClient(config=config)
    assert client.current_user.me().user_name == application_id
    (kept,) = served.client.service_principal_secrets_proxy.list(id_)
    assert secret not in str(kept)
    served.client.service_principal_secrets_proxy.delete(id_, kept.id or "")
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        client.current_user.me()


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "client_credentials", "scope": "all-apis"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "everything"}, 400, "invalid_scope"),
    ],
)
def test_the_token_endpoint_refuses_in_the_words_of_oauth(
    served: Served, machine: tuple[str, str, str], form: dict[str, str], status: int, error: str
) -> None:
    answer = requests.post(f"{served.url}/oidc/v1/token", data=form, auth=(machine[1], "wrong"), timeout=9)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_an_access_token_that_was_touched_or_unsigned_is_nothing(served: Served, machine: tuple[str, str, str]) -> None:
    form = {"grant_type": "client_credentials", "client_id": machine[1], "client_secret": machine[2]}
    token = requests.post(f"{served.url}/oidc/v1/token", data=form, timeout=9).json()["access_token"]
    url = f"{served.url}/api/2.0/preview/scim/v2/Me"
    assert requests.get(url, headers=bearer(token), timeout=9).status_code == 200
    head, body, signature = token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    for forged in (
        f"{none}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body[:-4]}AAAA.{signature}",
        "..",
    ):
        assert requests.get(url, headers=bearer(forged), timeout=9).status_code == 403


def test_a_token_on_behalf_of_a_machine(served: Served, machine: tuple[str, str, str]) -> None:
    made = served.client.token_management.create_obo_token(machine[1], comment="ci", lifetime_seconds=600)
    client = WorkspaceClient(host=served.url, token=made.token_value, auth_type="pat")
    assert client.current_user.me().user_name == machine[1]
    with pytest.raises(NotFound):
        served.client.token_management.create_obo_token("nobody")


def test_what_a_lifetime_may_not_be(served: Served) -> None:
    with pytest.raises(InvalidParameterValue, match="lifetime_seconds"):
        served.client.tokens.create(lifetime_seconds=-5)


def test_one_name_for_one_user_however_many_ask(served: Served) -> None:
    def create(_: int) -> bool:
        try:
            served.client.users.create(user_name="race@example.com")
        except ResourceConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(8))) == 1
