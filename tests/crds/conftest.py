"""The CRDs that Karpenter and Argo CD ship, fetched as Go modules (checked by Go's checksum database)."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_on_spot.lab.toolchain.golang import Go, UnusableError

KARPENTER = ("github.com/aws/karpenter-provider-aws", "v1.14.3", "pkg/apis/crds")
ARGOCD = ("github.com/argoproj/argo-cd/v3", "v3.5.3", "manifests/crds")
FETCH_TIMEOUT_SECONDS = 600
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Argo CD's schemas are 3 MB: in Python alone they take twelve seconds."""


@cache
def schemas(module: str, version: str, folder: str) -> dict[str, dict[str, Any]]:
    """Kind -> OpenAPI schema of its stored version."""
    try:
        environment = {**os.environ, **Go.find().toolchain}
    except UnusableError as error:
        pytest.skip(str(error))
    command = ["go", "mod", "download", "-json", f"{module}@{version}"]
    fetched = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env=environment, timeout=FETCH_TIMEOUT_SECONDS
    )
    if fetched.returncode != 0:
        detail = (fetched.stderr.strip() or fetched.stdout.strip()).splitlines()[-1:]
        pytest.skip(f"{module}@{version} cannot be fetched: {' '.join(detail)}")
    found = {}
    for path in Path(json.loads(fetched.stdout)["Dir"], folder).glob("*.yaml"):
        crd = yaml.load(path.read_text(), Loader=LOADER)
        if crd and crd.get("kind") == "CustomResourceDefinition":
            stored = next(v for v in crd["spec"]["versions"] if v["storage"])
            found[crd["spec"]["names"]["kind"]] = stored["schema"]["openAPIV3Schema"]
    return found


@pytest.fixture(scope="session")
def karpenter() -> dict[str, dict[str, Any]]:
    """Schemas of Karpenter's kinds, at the version that the stacks pin."""
    return schemas(*KARPENTER)


@pytest.fixture(scope="session")
def argocd() -> dict[str, dict[str, Any]]:
    """Schemas of Argo CD's kinds, at the version that the pinned chart brings."""
    return schemas(*ARGOCD)
