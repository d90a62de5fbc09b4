"""Faults of Karpenter's objects, of where pods run, and of Argo CD."""

import base64
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.lab.faults import Faults
from tests.lab.running import Lab, condition, thing, until

FAULTS = Faults()

ON_SPOT = {"karpenter.sh/capacity-type": "spot"}
KARPENTER = ("deployment", "karpenter", "kube-system")


def made(lab: Lab, *things: dict[str, Any]) -> Iterator[None]:
    """Objects, while the fault lasts."""
    with lab.there(*things):
        yield


def patched(lab: Lab, kind: str, name: str, namespace: str, seeded: Any, before: Any) -> Iterator[None]:
    """An object changed by hand, and put back."""
    lab.patch(kind, name, seeded, namespace)
    yield
    lab.patch(kind, name, before, namespace)


def deployment(name: str, replicas: int = 1, **pod: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "pause", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container], **pod}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return thing("apps/v1", "Deployment", name, "default", spec=spec)


def no_eviction(name: str) -> dict[str, Any]:
    """A budget that allows no eviction of a Deployment's pods."""
    spec = {"maxUnavailable": 0, "selector": {"matchLabels": {"app": name}}}
    return thing("policy/v1", "PodDisruptionBudget", name, "default", spec=spec)


@FAULTS.named("karpenter-running", "0 of 0 replicas", seconds=90)
def karpenter_is_scaled_to_nothing(lab: Lab) -> Iterator[None]:
    replicas = lab.get(*KARPENTER)["spec"]["replicas"]
    yield from patched(lab, *KARPENTER, {"spec": {"replicas": 0}}, {"spec": {"replicas": replicas}})
    until("its replicas", lambda: lab.get(*KARPENTER)["status"].get("availableReplicas") == replicas)


@FAULTS.named("karpenter-versions", "the controller is version 1.8.0")
def the_controller_has_another_version_than_declared(lab: Lab) -> Iterator[None]:
    label = "app.kubernetes.io/version"
    before = lab.get(*KARPENTER)["metadata"]["labels"][label]
    yield from patched(
        lab, *KARPENTER, {"metadata": {"labels": {label: "1.8.0"}}}, {"metadata": {"labels": {label: before}}}
    )


@FAULTS.named("karpenter-versions", "the CRDs come from kube-system/karpenter-crd version 1.8.0")
def the_crds_are_of_another_version(lab: Lab) -> Iterator[None]:
    chart = {"chart": {"metadata": {"name": "karpenter-crd", "version": "1.8.0"}}}
    packed = base64.b64encode(gzip.compress(json.dumps(chart).encode())).decode()
    labels = {"owner": "helm", "name": "karpenter-crd", "status": "deployed", "version": "9"}
    told = {"metadata": {"labels": labels}, "type": "helm.sh/release.v1", "stringData": {"release": packed}}
    yield from made(lab, thing("v1", "Secret", "sh.helm.release.v1.karpenter-crd.v9", "kube-system", **told))


@FAULTS.named("interruption-queue", "the controller reads another")
def the_controller_reads_another_queue(lab: Lab) -> Iterator[None]:
    def environment(queue: str) -> dict[str, Any]:
        variable = {"name": "INTERRUPTION_QUEUE", "value": queue}
        return {"spec": {"template": {"spec": {"containers": [{"name": "controller", "env": [variable]}]}}}}

    def put(queue: str) -> None:
        lab.kubectl(
            "patch", "deployment", "karpenter", "--namespace=kube-system", f"--patch={json.dumps(environment(queue))}"
        )

    put("another")
    yield
    put("otel-lab-interruption")


@FAULTS.named("node-classes", "default: Ready=Unknown", also=("node-pools",), seconds=90, later=timedelta(minutes=3))
def the_node_class_names_an_image_that_does_not_exist(lab: Lab) -> Iterator[None]:
    before = lab.get("ec2nodeclass", "default")["spec"]["amiSelectorTerms"]
    seeded = [{"alias": "al2023@v20190101"}]
    yield from patched(
        lab,
        "ec2nodeclass",
        "default",
        "",
        {"spec": {"amiSelectorTerms": seeded}},
        {"spec": {"amiSelectorTerms": before}},
    )
    things = (("ec2nodeclass", "default"), ("nodepool", "data"))
    until("Ready again", lambda: all(condition(lab.get(*thing), "Ready") == "True" for thing in things), 120)


@FAULTS.named("node-pools", "NodeClassReady=False", seconds=90)
def a_pool_names_a_node_class_that_does_not_exist(lab: Lab) -> Iterator[None]:
    pool = lab.get("nodepool", "data")
    spec = pool["spec"]
    spec["template"]["spec"]["nodeClassRef"]["name"] = "none"
    yield from made(lab, thing(pool["apiVersion"], "NodePool", "stray", spec=spec))


@FAULTS.named("pool-limits", "of 1 used (")
def a_pool_is_at_its_limit(lab: Lab) -> Iterator[None]:
    before = lab.get("nodepool", "data")["spec"]["limits"]
    yield from patched(lab, "nodepool", "data", "", {"spec": {"limits": {"cpu": "1"}}}, {"spec": {"limits": before}})


@FAULTS.named("stateful-pods", "StatefulSet opensearch keeps data and runs on Spot", seconds=60)
def a_database_is_moved_to_spot_while_syncs_are_held(lab: Lab) -> Iterator[None]:
    capacity, pool = "karpenter.sh/capacity-type", "karpenter.sh/nodepool"

    def put(selector: dict[str, Any]) -> None:
        template = {"spec": {"template": {"spec": {"nodeSelector": selector}}}}
        lab.patch("statefulset", "opensearch", template, "otel-demo")

    lab.patch("appproject", "platform", {"spec": {"syncWindows": [window(timedelta())]}}, "argocd")
    put({capacity: "spot", pool: "spot"})
    yield
    put({capacity: "on-demand", pool: "data"})
    lab.patch("appproject", "platform", {"spec": {"syncWindows": None}}, "argocd")

    def home() -> bool:
        pods = [pod for pod in lab.get("pods", namespace="otel-demo") if pod["metadata"]["name"] == "opensearch-0"]
        node = lab.get("node", pods[0]["spec"].get("nodeName", "none")) if pods else None
        running = bool(pods) and pods[0]["status"]["phase"] == "Running"
        return running and bool(node) and node["metadata"]["labels"].get(pool) == "data" and healthy(lab)

    until("the database is back", home, 120)


def healthy(lab: Lab) -> bool:
    return lab.state() == ("Synced", "Healthy")


@FAULTS.named("stateless-pods", "nodeSelector karpenter.sh/capacity-type: on-demand, and no data to keep")
def a_stateless_workload_keeps_off_spot(lab: Lab) -> Iterator[None]:
    yield from made(lab, deployment("keeps-off-spot", nodeSelector={"karpenter.sh/capacity-type": "on-demand"}))


@FAULTS.named("two-minutes", "1 step x 40 s boot + 0 s preStop + 90 s grace = 130 s", seconds=60)
def a_pod_ends_too_slowly_for_a_warning(lab: Lab) -> Iterator[None]:
    yield from made(lab, deployment("slow", terminationGracePeriodSeconds=90, nodeSelector=ON_SPOT))


@FAULTS.named("blast-radius", "all 2 ready pods on Spot node", seconds=60, also=("probes-and-budgets",))
def one_node_carries_all_replicas(lab: Lab) -> Iterator[None]:
    together = {"labelSelector": {"matchLabels": {"app": "together"}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [together]}}
    yield from made(lab, deployment("together", replicas=2, affinity=affinity, nodeSelector=ON_SPOT))


@FAULTS.named(
    "disruption-budgets",
    "maxUnavailable 0 of 2 pods never allows an eviction",
    seconds=60,
    also=("blast-radius",),  # nothing keeps its two pods apart
)
def a_budget_blocks_every_eviction(lab: Lab) -> Iterator[None]:
    yield from made(lab, deployment("guarded", replicas=2), no_eviction("guarded"))


def application(lab: Lab, name: str, project: str = "platform", **metadata: Any) -> dict[str, Any]:
    """An Application that can never sync: its path is not in the repository."""
    spec = lab.application("cluster-base")["spec"]
    spec = {**spec, "project": project, "source": {**spec["source"], "path": "gitops/charts/none"}}
    return thing("argoproj.io/v1alpha1", "Application", name, "argocd", metadata=metadata, spec=spec)


@FAULTS.named("applications", "ComparisonError", seconds=90, later=timedelta(minutes=6))
def an_application_names_a_path_that_is_not_in_git(lab: Lab) -> Iterator[None]:
    yield from made(lab, application(lab, "stray"))


@FAULTS.named("applications", "SyncError", seconds=60, later=timedelta(minutes=6))
def an_application_stays_out_of_sync(lab: Lab) -> Iterator[None]:
    """It declares what another one owns already: Argo CD refuses to sync it."""
    stray = application(lab, "stray")
    own = lab.application("cluster-base")["spec"]
    policy = {**own["syncPolicy"], "retry": {"limit": 0}}
    yield from made(lab, {**stray, "spec": {**own, "syncPolicy": policy}})


@FAULTS.named("suspensions", "automatic sync is off, and no lease ends that")
def an_application_is_suspended_without_an_end(lab: Lab) -> Iterator[None]:
    with lab.suspended("otel-demo"):
        yield


def window(began: timedelta, **more: Any) -> dict[str, Any]:
    """A deny window of one day, as a lease is: two hours from so long ago."""
    then = datetime.now(UTC) - began
    schedule = f"{then.minute} {then.hour} {then.day} {then.month} *"
    return {"kind": "deny", "schedule": schedule, "duration": "2h", "applications": ["*"], "manualSync": True, **more}


def windows(lab: Lab, *listed: dict[str, Any]) -> Iterator[None]:
    on, off = ({"spec": {"syncWindows": entry}} for entry in (list(listed), None))
    yield from patched(lab, "appproject", "platform", "argocd", on, off)


@FAULTS.named("suspensions", "ago, and it still holds")
def a_suspension_outlives_its_lease(lab: Lab) -> Iterator[None]:
    until_then = (datetime.now(UTC) - timedelta(minutes=5)).isoformat(timespec="seconds")
    yield from windows(lab, window(timedelta(minutes=30), description=f"stress by ada until={until_then}"))


@FAULTS.named("suspensions", "comes back every year")
def a_window_of_the_past_was_left_behind(lab: Lab) -> Iterator[None]:
    yield from windows(lab, window(timedelta(hours=5)))


@FAULTS.named("finalizers", "AppProject gone is gone", seconds=90)
def an_application_hangs_on_its_finalizer(lab: Lab) -> Iterator[None]:
    spec = lab.get("appproject", "platform", "argocd")["spec"]
    project = thing("argoproj.io/v1alpha1", "AppProject", "gone", "argocd", spec=spec)
    hanging = application(lab, "hanging", "gone", finalizers=["resources-finalizer.argocd.argoproj.io"])
    lab.put(hanging)
    lab.kubectl("delete", "application.argoproj.io", "hanging", "--namespace=argocd", "--wait=false")
    yield
    lab.put(project)
    until("it goes with its project there", lambda: lab.application("hanging") is None, 60)
    lab.kubectl("delete", "appproject", "gone", "--namespace=argocd")
