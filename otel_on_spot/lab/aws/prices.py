"""Prices of instances: made up, the same every time, Spot always below On-Demand.

They prove that the cheapest offering is chosen, never what a month costs.
"""

import hashlib
from functools import cache

VCPU_HOUR = 0.034
GIB_HOUR = 0.0045
"""USD, fitted by eye to the m family in eu-west-1."""
GPU_HOUR = 0.9


@cache
def on_demand_price(instance_type: str) -> float:
    """USD an hour."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    known = INSTANCE_TYPES.get(instance_type)
    if known is None:
        return 1000.0
    gib = known["MemoryInfo"]["SizeInMiB"] / 1024
    gpus = sum(gpu.get("Count", 0) for gpu in (known.get("GpuInfo") or {}).get("Gpus", []))
    return VCPU_HOUR * known["VCpuInfo"]["DefaultVCpus"] + GIB_HOUR * gib + GPU_HOUR * gpus


@cache
def spot_price(instance_type: str, zone: str) -> float:
    """USD an hour: 30 to 50 percent of On-Demand, by type and zone."""
    share = int(hashlib.sha256(f"{instance_type}/{zone}".encode()).hexdigest()[:8], 16) % 2000
    return on_demand_price(instance_type) * (0.30 + share / 10000)
