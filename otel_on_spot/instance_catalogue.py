"""Write the instance types that the pinned Karpenter knows into infra/settings/instance_types.txt.

Run as ``python -m otel_on_spot.instance_catalogue`` after a change of Karpenter's version in lab/go, with Go on PATH.
Karpenter's module says which types there are; sizes come from the simulated EC2's catalogue, or from the type's name.
A type that only the price list has is left out: EC2 has stopped describing it (cc2, g2, hs1, p2), so it launches none.
"""

import gzip
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

from otel_on_spot import project

MODULE: Final = "github.com/aws/karpenter-provider-aws"
PRICE: Final = re.compile(r'"([a-z0-9-]+\.[a-z0-9-]+)": ([0-9.]+),')
"""A type's On-Demand price in Karpenter's table, USD per hour."""
TYPE: Final = re.compile(r'"([a-z0-9-]+\.[a-z0-9-]+)":')
ARM64: Final = re.compile(r"^(a1|[a-z]+\d+g[a-z-]*)$")
HEAD: Final = """\
# Instance types that Karpenter {version} knows: family, architecture, size:vCPU:MiB[:GB of local NVMe][@USD per hour];
# 0 is not known. Prices: On-Demand, Linux, us-east-1, of {prices}.
# Written by `python -m otel_on_spot.instance_catalogue` from {module}
# (pkg/providers/instancetype/zz_generated.vpclimits.go, pkg/providers/pricing/zz_generated.*.go).
"""


def pinned_version(root: Path) -> str:
    """Version of Karpenter that the lab is built from.

    Raises:
        ValueError: the module of the lab's Karpenter requires none.
    """
    found = re.search(rf"{MODULE} v(\S+)", (root / "otel_on_spot/lab/go/karpenter/go.mod").read_text())
    if found is None:
        raise ValueError(f"otel_on_spot/lab/go/karpenter/go.mod does not require {MODULE}")
    return found[1]


def module_folder(version: str) -> Path | None:
    """The module's folder in Go's cache, where there is one."""
    try:
        cache = subprocess.run(["go", "env", "GOMODCACHE"], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    folder = Path(cache) / f"{MODULE}@v{version}"
    return folder if folder.is_dir() else None


def catalogue(module: Path, version: str) -> str:
    """The text of the catalogue."""
    described = _described()
    limits = TYPE.findall((module / "pkg/providers/instancetype/zz_generated.vpclimits.go").read_text())
    priced = [
        name
        for source in (module / "pkg/providers/pricing").glob("zz_generated.*.go")
        for name in TYPE.findall(source.read_text())
    ]
    names = sorted({*limits, *(name for name in priced if name in described)})
    listed, generated = _prices(module)
    families: dict[str, list[str]] = {}
    for name in names:
        # Karpenter asks EC2 for types of Linux's architectures with hardware virtualisation only.
        if not name.startswith("mac") and name not in ("t1.micro",):
            family, size = name.split(".")
            families.setdefault(family, []).append(size)
    lines = []
    for family, sizes in families.items():
        shapes = {size: _shape(described, family, size, sizes) for size in sizes}
        row = " ".join(
            f"{size}:{':'.join(map(str, shapes[size]))}{listed.get(f'{family}.{size}', '')}"
            for size in sorted(sizes, key=lambda s: (shapes[s], s))
        )
        lines.append(f"{family} {'arm64' if ARM64.match(family) else 'amd64'} {row}")
    return HEAD.format(version=version, module=MODULE, prices=generated) + "\n".join(lines) + "\n"


def _prices(module: Path) -> tuple[dict[str, str], str]:
    """``@`` and the price by type, and the day of the list.

    Raises:
        ValueError: Karpenter's file does not look as it did.
    """
    text = (module / "pkg/providers/pricing/zz_generated.pricing_aws.go").read_text()
    generated = re.search(r"// generated at (\d{4}-\d\d-\d\d)\S* for us-east-1", text)
    table = re.search(r'"us-east-1": \{(.*?)\n\t\}', text, re.DOTALL)
    if generated is None or table is None:
        raise ValueError(
            "Karpenter's price list of us-east-1 does not look as it did: read zz_generated.pricing_aws.go"
        )
    return {name: f"@{float(price):g}" for name, price in PRICE.findall(table[1])}, generated[1]


def _described() -> dict[str, Any]:
    import moto.ec2

    return json.loads(
        gzip.decompress((Path(moto.ec2.__file__).parent / "resources/instance_types.json.gz").read_bytes())
    )


def _shape(described: dict[str, Any], family: str, size: str, sizes: list[str]) -> tuple[int, ...]:
    """(vCPU, MiB) or (vCPU, MiB, GB of local NVMe)."""
    if row := described.get(f"{family}.{size}"):
        storage = row.get("InstanceStorageInfo") or {}
        nvme = storage.get("TotalSizeInGB", 0) if storage.get("NvmeSupport") in ("required", "supported") else 0
        shape = row["VCpuInfo"]["DefaultVCpus"], row["MemoryInfo"]["SizeInMiB"]
        return (*shape, nvme) if nvme else shape
    vcpus = _vcpus(size)
    for sibling in sizes:
        if row := described.get(f"{family}.{sibling}"):
            return vcpus, vcpus * row["MemoryInfo"]["SizeInMiB"] // row["VCpuInfo"]["DefaultVCpus"]
    return vcpus, 0


def _vcpus(size: str) -> int:
    """Number of vCPUs by the size's name, 0 where it does not say."""
    if size in ("medium", "large"):
        return ("medium", "large").index(size) + 1
    found = re.fullmatch(r"(\d*)xlarge|metal-(\d+)xl", size)
    return 4 * int(found[1] or found[2] or 1) if found else 0


def main() -> None:
    """Write the file.

    Raises:
        FileNotFoundError: Go has not downloaded the module.
    """
    root = project.root()
    version = pinned_version(root)
    module = module_folder(version)
    if module is None:
        raise FileNotFoundError(f"{MODULE}@v{version} is not in Go's module cache: build the lab's tools first")
    (root / "infra/settings/instance_types.txt").write_text(catalogue(module, version))


if __name__ == "__main__":
    main()
