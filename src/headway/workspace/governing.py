"""What a user may make clusters of: by a policy that it may use, or freely where it is entitled to that."""

from collections.abc import Callable, Mapping
from typing import Any

from headway.workspace.errors import ApiError, invalid
from headway.workspace.principals import Principal
from headway.workspace.services.clusters.store import ClusterStore
from headway.workspace.services.policies.model import ALL_PURPOSE, JOB, applied, rules
from headway.workspace.services.policies.store import PolicyStore

ENTITLEMENT = "allow-cluster-create"
Allows = Callable[[Principal, str, str, str], bool]


class Governor:
    """Applies policies. `principal` gives a user by name, `allows` what it may do, `entitled` whether it (or a group of
    it) has an entitlement. Where `restricted`, only who is entitled makes clusters without a policy."""

    def __init__(
        self,
        policies: PolicyStore,
        clusters: ClusterStore,
        principal: Callable[[str], Principal | None],
        allows: Allows,
        entitled: Callable[[Principal, str], bool],
        restricted: bool,
    ) -> None:
        self._policies, self._clusters, self._principal = policies, clusters, principal
        self._allows, self._entitled, self._restricted = allows, entitled, restricted

    def governed(
        self, spec: Mapping[str, Any], user: str, cluster_type: str, *, makes: bool, cluster_id: str | None = None
    ) -> dict[str, Any]:
        """The spec of a cluster that `user` makes, as its policy has it. With `makes` it counts as one more cluster of
        that user, `cluster_id` excepted. Raise ApiError."""
        principal = self._principal(user)
        if principal is None:
            raise ApiError("PERMISSION_DENIED", f"{user} is no active user of this workspace", 403)
        policy_id = spec.get("policy_id")
        if not policy_id:
            if self._restricted and not principal.is_admin and not self._entitled(principal, ENTITLEMENT):
                message = f"{user} is not authorized to create clusters without a policy; it lacks {ENTITLEMENT}"
                raise ApiError("PERMISSION_DENIED", message, 403)
            return dict(spec)
        if not isinstance(policy_id, str):
            raise invalid("policy_id must be the id of a cluster policy")
        policy = self._policies.get(policy_id)
        if not principal.is_admin and not self._allows(principal, "cluster-policies", policy_id, "CAN_USE"):
            message = f"{user} does not have CAN_USE permission on cluster-policy {policy_id}."
            raise ApiError("PERMISSION_DENIED", message, 403)
        if makes and policy.most is not None and self._count(policy_id, user, cluster_id) >= policy.most:
            what = f"{policy.most} clusters per user with the policy {policy.name}"
            raise invalid(f"Cluster validation error: {user} has the most that there may be: {what}")
        defaults = spec.get("apply_policy_default_values") is True
        return applied(rules(policy.definition), spec, cluster_type, defaults=defaults)

    def of_cluster(self, spec: Mapping[str, Any], user: str, cluster_id: str | None) -> dict[str, Any]:
        """The spec of a cluster that somebody makes, or changes where it has an id."""
        return self.governed(spec, user, ALL_PURPOSE, makes=True, cluster_id=cluster_id)

    def of_job(self, spec: Mapping[str, Any], user: str) -> dict[str, Any]:
        """The spec that a job names, when the job is made or changed, by one who has just been let in."""
        if not spec.get("policy_id") and not self._restricted:
            return dict(spec)  # nothing to look up: fleets change many jobs at once
        return self.governed(spec, user, JOB, makes=False)

    def of_run(self, spec: Mapping[str, Any], user: str) -> dict[str, Any]:
        """The same when a run makes its cluster."""
        return self.governed(spec, user, JOB, makes=True)

    def _count(self, policy_id: str, user: str, but: str | None) -> int:
        return sum(
            1
            for cluster in self._clusters.active()
            if cluster.creator == user and cluster.spec.get("policy_id") == policy_id and cluster.cluster_id != but
        )
