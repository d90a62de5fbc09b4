"""Helm releases as the provider handles them, and what the charts of this program need and bring."""

import hashlib
import json
from dataclasses import replace
from typing import Any

from typing_extensions import override

from otel_on_spot.kubernetes.names import NAMESPACE
from otel_on_spot.program.values import UNKNOWN
from otel_on_spot.simcloud.api_errors import ApiError, NotFoundError, refuse
from otel_on_spot.simcloud.aws.eks_addons import nodes_ready
from otel_on_spot.simcloud.handler import Call, Difference, Handler, Seconds, Site, judged
from otel_on_spot.simcloud.kubernetes.controllers import identity_given, reconcile, release, why_karpenter_is_dead
from otel_on_spot.simcloud.kubernetes_kinds import CHART_KINDS
from otel_on_spot.simcloud.properties import Properties, changes, declared

INSTALL_SECONDS = {"karpenter-crd": 5.0, "karpenter": 60.0, "argo-cd": 90.0}
"""Cloud seconds of an installation once there are nodes. Estimates: charts, image pulls, probes."""
WITHOUT_PODS = ("karpenter-crd",)
DEFAULT_TIMEOUT = 300.0


def chart_name(inputs: Properties) -> str:
    """Name of the chart, its repository aside."""
    return str(inputs["chart"]).rpartition("/")[2]


def pods_of(inputs: Properties) -> Properties:
    """What a release's pods are made of: an upgrade that changes none of it, as of an account, replaces no pod."""
    values = {key: value for key, value in (inputs.get("values") or {}).items() if key != "serviceAccount"}
    return {"values": values, **{key: inputs.get(key) for key in ("chart", "version")}}


class Release(Handler):
    """A Helm release. It waits for its pods, and its pods for nodes."""

    token = "kubernetes:helm.sh/v3:Release"
    seconds = Seconds(0, 0, 20)
    timeouts = Seconds(DEFAULT_TIMEOUT, DEFAULT_TIMEOUT, DEFAULT_TIMEOUT)

    @override
    def difference(self, state: Properties, old: Properties, new: Properties, site: Site) -> Difference:
        difference = judged(self.facts, dict(changes(state, old, new)), state, new)
        return replace(difference, delete_before_replace=True)

    @override
    def preview(self, state: Properties, new: Properties, site: Site) -> Properties:
        outputs = super().preview(state, new, site)
        if state:
            outputs["status"] = UNKNOWN
        return outputs

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        site, name, namespace = call.site, inputs["name"], inputs["namespace"]
        api = site.cloud.kubernetes(site.cluster)
        api.require_reachable()
        if api.get(*NAMESPACE.identity, namespace) is None:
            if not inputs.get("createNamespace"):
                raise ApiError("NotFound", f'create: failed to create: namespaces "{namespace}" not found')
            api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, "helm")
        if site.cloud.releases is not None:
            site.cloud.releases.check(inputs)
        if release(site, namespace, name):
            raise ApiError("AlreadyExists", "cannot re-use a name that is still in use")
        self._install(call, inputs, revision=1)
        return self.identity(site, inputs), self._known(inputs, 1)

    def _install(self, call: Call, inputs: Properties, revision: int) -> None:
        site, name, namespace, chart = call.site, inputs["name"], inputs["namespace"], chart_name(inputs)
        key = f"{site.cluster}|{namespace}|{name}"
        before = site.cloud.tables.get("releases", key)
        row = {"inputs": declared(inputs), "revision": revision, "status": "pending"}
        if chart == "karpenter":
            kept = before is not None and pods_of(before["inputs"]) == pods_of(inputs)
            row["identity"] = (before or {}).get("identity", "") if kept else identity_given(site, row)
        if site.cloud.releases is None:
            self._define(site, inputs)
        site.cloud.tables.put("releases", key, row)
        try:
            self._become_ready(call, inputs, chart)
        except ApiError:
            if inputs.get("atomic"):
                self._roll_back(call, inputs, before)
            if inputs.get("atomic") and before is None:
                site.cloud.tables.remove("releases", key)
            elif before is not None:
                site.cloud.tables.put("releases", key, before)
            raise
        site.cloud.tables.put("releases", key, {**row, "status": "deployed"})

    @staticmethod
    def _roll_back(call: Call, inputs: Properties, before: dict[str, Any] | None) -> None:
        """Keep ``atomic``'s promise: a failed installation leaves nothing, a failed upgrade what was there."""
        cloud, cluster = call.site.cloud, call.site.cluster
        if cloud.releases is None:
            return
        if before is None:
            cloud.releases.deleted(cloud, cluster, inputs)
        else:
            seconds = _real_seconds(call, before["inputs"])
            cloud.releases.installed(cloud, cluster, before["inputs"], seconds=seconds, cancelled=call.cancelled)

    @staticmethod
    def _define(site: Site, inputs: Properties) -> None:
        chart = chart_name(inputs)
        told = ((inputs.get("values") or {}).get("crds") or {}).get("install", True)
        for version, kind in CHART_KINDS.get(chart, ()):
            if told:
                site.cloud.kubernetes(site.cluster).define(version, kind, chart)

    def _become_ready(self, call: Call, inputs: Properties, chart: str) -> None:
        site = call.site
        timeout = float(inputs.get("timeout") or DEFAULT_TIMEOUT)
        knows = site.cloud.kubernetes(site.cluster).knows
        if chart == "karpenter" and site.cloud.releases is None:
            missing = [kind for version, kind in CHART_KINDS["karpenter-crd"] if not knows(version, kind)]
            told = f"release {inputs['name']}: the controller panics, its CRDs are missing: {', '.join(missing)}"
            refuse((missing, told), code="Timeout")
        if chart not in WITHOUT_PODS:
            what = f"release {inputs['name']}: its pods are Pending, waiting for a node of a managed node group"
            site.cloud.clock.until(lambda: nodes_ready(site, site.cluster), timeout, what, call.cancelled)
        if site.cloud.releases is not None:
            seconds = _real_seconds(call, inputs)
            site.cloud.releases.installed(site.cloud, site.cluster, inputs, seconds=seconds, cancelled=call.cancelled)
            return
        call.spend(INSTALL_SECONDS.get(chart, 60.0))
        if chart == "karpenter":
            why = why_karpenter_is_dead(site, installing=True)
            refuse((why, f"release {inputs['name']} not ready within {timeout:.0f} s: {why}"), code="Timeout")

    @staticmethod
    def _known(inputs: Properties, revision: int) -> Properties:
        chart = chart_name(inputs)
        checksum = hashlib.sha256(json.dumps(inputs.get("values") or {}, sort_keys=True).encode()).hexdigest()
        status = {"status": "deployed", "name": inputs["name"], "namespace": inputs["namespace"], "revision": revision}
        return {
            "status": {**status, "chart": chart, "version": inputs.get("version") or ""},
            "checksum": checksum,
            "resourceNames": {},
            "manifest": "",
        }

    def _row(self, call: Call, identity: str) -> dict[str, Any]:
        namespace, _, name = identity.partition("/")
        row = release(call.site, namespace, name)
        if row is None:
            raise NotFoundError("NotFound", f"release: not found: {identity}")
        return row

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        if call.site.cloud.kubernetes(call.site.cluster).counts_as_gone():
            return None
        row = self._row(call, identity)
        seen = {key: row["inputs"].get(key) for key in ("version", "values") if key in row["inputs"]}
        return {**seen, **self._known({**state, **row["inputs"]}, row["revision"])}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        call.site.cloud.kubernetes(call.site.cluster).require_reachable()
        if call.site.cloud.releases is not None:
            call.site.cloud.releases.check(new)
        revision = self._row(call, identity)["revision"] + 1
        self._install(call, new, revision)
        return {**declared(new), **self._known(new, revision)}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        site = call.site
        api = site.cloud.kubernetes(site.cluster)
        api.require_reachable()
        row = self._row(call, identity)
        namespace, _, name = identity.partition("/")
        if site.cloud.releases is not None:
            named = {**row["inputs"], "name": name, "namespace": namespace}
            site.cloud.releases.deleted(site.cloud, site.cluster, named)
        elif not ((row["inputs"].get("values") or {}).get("crds") or {}).get("keep", False):
            for version, kind in CHART_KINDS.get(chart_name(row["inputs"]), ()):
                api.undefine(version, kind)
            reconcile(site)
        site.cloud.tables.remove("releases", f"{site.cluster}|{namespace}|{name}")


def _real_seconds(call: Call, inputs: Properties) -> float:
    """Real seconds that a release may take: its timeout on the cloud's clock, which lasts its patience at least."""
    clock = call.site.cloud.clock
    return max(float(inputs.get("timeout") or DEFAULT_TIMEOUT) * clock.scale, clock.patience)
