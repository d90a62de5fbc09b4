"""The releases of the lab: which chart is installed by whom."""

import threading
from pathlib import Path
from typing import Any, Final

from otel_on_spot.lab.control import Log
from otel_on_spot.lab.releases import argocd, karpenter
from otel_on_spot.lab.releases.identity import TokenFiles
from otel_on_spot.lab.releases.installation import Installation, Processes, ReleaseContext
from otel_on_spot.lab.releases.objects import ReleaseDeadline
from otel_on_spot.lab.supervisor import Supervisor
from otel_on_spot.lab.toolchain import Tools
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.kubernetes.helm import chart_name

SOURCES: Final = {"karpenter-crd": karpenter.SOURCE, "karpenter": karpenter.SOURCE, "argo-cd": argocd.SOURCE}
"""Chart -> the registry or repository that it is published in."""


class Releases:
    """Installs the releases that the lab knows; ``simcloud.cloud.ReleaseRunner`` is its shape.

    Args:
        tools: the lab's tools.
        folder: a folder of its own, for tokens, kubeconfigs and what the controllers write.
        supervisor: what runs the controllers.
        authority: PEM file of the lab's certificate authority.
        log: gets what the user should know, a line each.
    """

    def __init__(
        self, tools: Tools, folder: Path, supervisor: Supervisor, *, authority: Path, log: Log = print
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._context = ReleaseContext(
            tools=tools,
            folder=folder,
            processes=Processes(supervisor),
            tokens=TokenFiles(folder / "tokens"),
            authority=authority,
            log=log,
        )

    def check(self, inputs: dict[str, Any]) -> None:
        """Refuse what the lab cannot install, and say what it does not do as EKS would.

        Raises:
            ApiError: another chart, from elsewhere, or in another version.
        """
        chart = chart_name(inputs)
        if chart not in SOURCES:
            raise ApiError(
                "UnknownChart",
                f"release {inputs.get('name')}: chart {inputs['chart']!r}; "
                f"the lab installs {', '.join(sorted(SOURCES))} and no other. "
                f"Let Argo CD deploy it from Git, or leave it out of this stack",
            )
        told = str((inputs.get("repositoryOpts") or {}).get("repo") or str(inputs["chart"]).rpartition("/")[0])
        if told.rstrip("/") != SOURCES[chart]:
            raise ApiError(
                "UnknownChart",
                f"release {inputs.get('name')}: chart {chart} from {told or 'nowhere'!r}; "
                f"the lab has the one of {SOURCES[chart]}. Name that one",
            )
        nowhere: Any = None
        check = argocd.check if chart == "argo-cd" else karpenter.check
        check(self._context, Installation(cloud=nowhere, cluster="", inputs=inputs))

    def installed(
        self, cloud: Cloud, cluster: str, inputs: dict[str, Any], *, seconds: float, cancelled: threading.Event
    ) -> None:
        """Install a release, or bring it to these inputs, and wait until it is ready.

        Args:
            cloud: that the cluster is in.
            cluster: its name.
            inputs: the release's, as the program declared them.
            seconds: real ones that it may take to be ready.
            cancelled: set when the engine no longer waits.

        Raises:
            ApiError: it is not ready in time, or something refuses it.
        """
        deadline = ReleaseDeadline(seconds, cancelled)
        installation = Installation(cloud=cloud, cluster=cluster, inputs=inputs)
        act = {"karpenter-crd": karpenter.crds_installed, "karpenter": karpenter.installed, "argo-cd": argocd.installed}
        act[chart_name(inputs)](self._context, installation, deadline)

    def deleted(self, cloud: Cloud, cluster: str, inputs: dict[str, Any]) -> None:
        """Stop what the release runs and remove what it made."""
        act = {"karpenter-crd": karpenter.crds_removed, "karpenter": karpenter.removed, "argo-cd": argocd.removed}
        act[chart_name(inputs)](self._context, Installation(cloud=cloud, cluster=cluster, inputs=inputs))

    def close(self) -> None:
        """Stop renewing tokens. Processes are the supervisor's."""
        self._context.tokens.close()
