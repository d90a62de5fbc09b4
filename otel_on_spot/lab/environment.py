"""What a command needs to be in the lab."""

import os

from otel_on_spot.lab import places
from otel_on_spot.lab.folder import Folder
from otel_on_spot.lab.stack import Stack
from otel_on_spot.lab.toolchain import Tools


def environment(stack: Stack, folder: Folder, tools: Tools) -> dict[str, str]:
    """What a command in the lab's namespaces needs to reach its cluster and its AWS, and nothing else."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "KUBE"))}
    return {
        **own,
        "KUBECONFIG": str(folder.kubeconfig()),
        "AWS_ENDPOINT_URL": places.MOTO_URL,
        "AWS_ACCESS_KEY_ID": "simulated",
        "AWS_SECRET_ACCESS_KEY": "simulated",
        "AWS_REGION": stack.region,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
        "PATH": os.pathsep.join(
            [str(tools.path("kubectl").parent), str(tools.path("helm").parent), os.environ["PATH"]]
        ),
    }
