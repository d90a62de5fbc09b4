"""Karpenter from its real charts.

The real charts, and the real controller beside the cluster with the environment that its Deployment gives it.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import yaml

from otel_on_spot.kubernetes.names import POD_IDENTITY, ROLE_ANNOTATION, SERVICE_ACCOUNT
from otel_on_spot.lab import addresses
from otel_on_spot.lab.health import http_ok
from otel_on_spot.lab.releases.environment import environment
from otel_on_spot.lab.releases.identity import STS_AUDIENCE
from otel_on_spot.lab.releases.installation import Installation, ReleaseContext, moved_to
from otel_on_spot.lab.releases.objects import LOADER, ReleaseDeadline
from otel_on_spot.lab.supervisor import Program
from otel_on_spot.lab.toolchain import Tools
from otel_on_spot.lab.toolchain.modules import KARPENTER_NEXT
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.kubernetes_api import Object

PROGRAM: Final = "karpenter"
CONTAINER: Final = "controller"
HELM_SECONDS: Final = 60
SOURCE: Final = "oci://public.ecr.aws/karpenter"
POD_IDENTITY_URL: Final = "http://169.254.170.23/v1/credentials"
"""Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html"""


def check(context: ReleaseContext, installation: Installation) -> None:
    """Refuse a version that the lab does not have.

    Raises:
        ApiError: the release wants another version.
    """
    _tools(context, installation)


def following(tools: Tools) -> tuple[str, str]:
    """(version, the same as the stack file has it) that ``drill upgrade`` moves to.

    Raises:
        ApiError: it is not built.
    """
    version = _next(tools).version(PROGRAM).removeprefix("v")
    return version, version


def _next(tools: Tools) -> Tools:
    version = KARPENTER_NEXT.version.removeprefix("v")
    return moved_to(tools, KARPENTER_NEXT, f"Karpenter {version}", "--next")


def _tools(context: ReleaseContext, installation: Installation) -> Tools:
    """The tools with the Karpenter that the release wants: the lab's, or the one that ``drill upgrade`` moves to.

    Raises:
        ApiError: it wants neither, or the second one is not built.
    """
    wanted = str(installation.inputs.get("version") or "").removeprefix("v")
    built, after = (version.removeprefix("v") for version in (context.tools.version(PROGRAM), KARPENTER_NEXT.version))
    if wanted in ("", built):
        return context.tools
    if wanted != after:
        raise ApiError(
            "UnknownVersion",
            f"release {installation.name}: version {wanted}; the lab runs Karpenter {built}. "
            f"Set karpenter.version to {built} "
            f"for this stack, or pin {wanted} in otel_on_spot/lab/go/karpenter/go.mod",
        )
    return _next(context.tools)


def crds_installed(context: ReleaseContext, installation: Installation, deadline: ReleaseDeadline) -> None:
    """Apply the CRDs and wait until they are served.

    Raises:
        ApiError: Helm or the API server refuses, or a CRD is not served in time.
    """
    installation.objects.apply(render(_tools(context, installation), installation, "karpenter-crd-chart"), deadline)


def installed(context: ReleaseContext, installation: Installation, deadline: ReleaseDeadline) -> None:
    """Apply the chart's objects, and run the controller until it is ready.

    Raises:
        ApiError: Helm or the API server refuses, or the controller or its pods are not ready in time.
    """
    tools = _tools(context, installation)
    things = render(tools, installation, "karpenter-chart")
    installation.objects.apply(things, deadline)
    deployment = next(thing for thing in things if thing["kind"] == "Deployment")
    variables = environment(installation.api, installation.namespace, deployment, CONTAINER)
    variables |= lab_environment(context, installation, _account(deployment))
    program = Program(
        name=PROGRAM,
        command=(str(tools.path(PROGRAM)),),
        environment=variables,
        ready=lambda: http_ok(f"http://127.0.0.1:{addresses.KARPENTER_HEALTH}/readyz"),
        restart=True,
    )
    context.processes.run(program, deadline, installation.name)
    installation.objects.available(deployment["metadata"]["name"], deadline)


def removed(context: ReleaseContext, installation: Installation) -> None:
    """Stop the controller and remove its objects."""
    context.processes.stop(PROGRAM)
    installation.objects.remove()


def crds_removed(context: ReleaseContext, installation: Installation) -> None:  # noqa: ARG001 (as every other release)
    """Remove the CRDs, and with them every object of their kinds."""
    installation.objects.remove()


def _account(deployment: Object) -> str:
    return str(deployment["spec"]["template"]["spec"].get("serviceAccountName") or "default")


def lab_environment(context: ReleaseContext, installation: Installation, account: str) -> dict[str, str]:
    """Variables that the controller's container does not have in its spec.

    As on EKS, where admission webhooks add it to the pod: region and identity (see ``identity_environment``). Of
    the lab: the API server by kubeconfig with the service account's own token, the simulated AWS as endpoint, no
    instance metadata, no price list (``ISOLATED_VPC``: there is none), no leader election (there is one process),
    the lab's ports, and profiles at /debug/pprof beside the metrics.
    """
    api, namespace = installation.api, installation.namespace
    return {
        "KUBECONFIG": str(
            context.tokens.kubeconfig(
                context.folder / "karpenter" / "kubeconfig", context.authority, api, namespace, account
            )
        ),
        "AWS_ENDPOINT_URL": installation.cloud.moto.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "ISOLATED_VPC": "true",
        "DISABLE_LEADER_ELECTION": "true",
        "METRICS_PORT": str(addresses.KARPENTER_METRICS),
        "HEALTH_PROBE_PORT": str(addresses.KARPENTER_HEALTH),
        "ENABLE_PROFILING": "true",
        **identity_environment(context, installation, account),
    }


def identity_environment(context: ReleaseContext, installation: Installation, account: str) -> dict[str, str]:
    """Variables that EKS adds to a pod of a service account that has a role.

    By Pod Identity association, else by annotation (IRSA).
    Without either there is no role, and the controller finds no credentials.
    Source: https://github.com/aws/amazon-eks-pod-identity-webhook and
    https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
    """
    api, namespace = installation.api, installation.namespace
    there = api.get(*SERVICE_ACCOUNT.identity, account, namespace) or {}
    role = ((there.get("metadata") or {}).get("annotations") or {}).get(ROLE_ANNOTATION)
    region = {
        "AWS_REGION": installation.region,
        "AWS_DEFAULT_REGION": installation.region,
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
    }
    association = installation.cloud.tables.get("pod-identities", f"{installation.cluster}/{namespace}/{account}")
    if association is not None:
        return {
            **region,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": POD_IDENTITY_URL,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(context.tokens.file(api, namespace, account, POD_IDENTITY)),
        }
    if role:
        return {
            **region,
            "AWS_ROLE_ARN": str(role),
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(context.tokens.file(api, namespace, account, STS_AUDIENCE)),
            "AWS_CA_BUNDLE": str(context.authority),
        }
    return {}


def render(tools: Tools, installation: Installation, chart: str) -> list[Object]:
    """The objects that ``helm install`` would make of one of Karpenter's charts, in Helm's order.

    The chart is published under the version that the tools have: in the source tree ``Chart.yaml`` may lag behind,
    upstream writes it when it publishes.
    Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/hack/release/common.sh

    Args:
        tools: Helm, the charts, and the versions of Karpenter and of the API server.
        installation: names the release, its namespace and values, and whether CRDs are left out.
        chart: ``karpenter-chart`` or ``karpenter-crd-chart``.

    Raises:
        ApiError: Helm refuses the chart or its values.
    """
    release = installation.name
    with tempfile.TemporaryDirectory(prefix="lab-chart-") as scratch:
        copy = Path(shutil.copytree(tools.files[chart], Path(scratch) / chart))
        _publish(copy / "Chart.yaml", tools.version("karpenter").removeprefix("v"))
        given = Path(scratch) / "values.json"
        given.write_text(json.dumps(installation.values))
        command = [str(tools.path("helm")), "template", release, str(copy), "--namespace", installation.namespace]
        command += ["--values", str(given), "--kube-version", tools.version("kube-apiserver")]
        command += ["--skip-crds" if installation.inputs.get("skipCrds") else "--include-crds"]
        home = {f"HELM_{kind}_HOME": f"{scratch}/helm" for kind in ("CACHE", "CONFIG", "DATA")}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=HELM_SECONDS, env={**home, "HOME": scratch}
            )
        except subprocess.TimeoutExpired as problem:
            raise ApiError("Timeout", f"release {release}: helm template took more than {HELM_SECONDS} s") from problem
    if done.returncode:
        raise ApiError("InvalidChart", f"release {release}: {done.stderr.strip().replace(scratch + '/', '')}")
    return [thing for thing in yaml.load_all(done.stdout, LOADER) if thing]


def _publish(file: Path, version: str) -> None:
    file.chmod(0o600)  # the module cache is read-only, and so is a copy of it
    file.parent.chmod(0o700)
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "version": version, "appVersion": version}))
