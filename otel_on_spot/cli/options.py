"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Stack = Annotated[str, typer.Option("--stack", "-s", help="Stack to work on; its settings are in Pulumi.<stack>.yaml.")]
KubeContext = Annotated[
    str | None, typer.Option("--context", help="Context of the kubeconfig; its current one by default.")
]
Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", help="The kubeconfig; KUBECONFIG or ~/.kube/config by default.")
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON; - prints nothing else.")
]
Why = Annotated[str, typer.Option("--why", help="Reason for the drill, shown to whoever finds its lease.")]
