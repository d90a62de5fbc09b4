"""Prices of instances: made up, the same every time, Spot always below On-Demand.

Two services answer with them: EC2's Spot price history, and the Price List service, which moto lacks. Without it
Karpenter would go by prices of its own, which our Spot prices do not fit.
Source: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html

They prove that the cheapest offering is chosen, never what a month costs.
"""

import hashlib
import json
import re
from functools import cache
from typing import Any

import werkzeug

from otel_on_spot.iam.decisions import Request
from otel_on_spot.lab.aws.moto_patches.iam import refused

VCPU_HOUR = 0.034
GIB_HOUR = 0.0045
"""USD, fitted by eye to the m family in eu-west-1."""
GPU_HOUR = 0.9
TARGET = "AWSPriceListService.GetProducts"
BARE_METAL = "Compute Instance (bare metal)"
REGION = "us-east-1"
"""Region of the endpoint that Karpenter asks."""
KEY = re.compile(r"Credential=([^/]+)/")


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


def products(asked: dict[str, Any]) -> dict[str, Any]:
    """GetProducts' answer: every instance type of the family asked for, on one page."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    told = {entry["Field"]: entry["Value"] for entry in asked.get("Filters") or []}
    metal = told.get("productFamily") == BARE_METAL
    names = [name for name in sorted(INSTANCE_TYPES) if (".metal" in name) == metal]
    return {"FormatVersion": "aws_v1", "PriceList": [_product(name) for name in names]}


def _product(instance_type: str) -> str:
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": f"{on_demand_price(instance_type):.6f}"}}
    return json.dumps(
        {
            "serviceCode": "AmazonEC2",
            "product": {"attributes": {"instanceType": instance_type, "operatingSystem": "Linux"}},
            "terms": {"OnDemand": {"lab": {"priceDimensions": {"lab.hour": dimension}}}},
        }
    )


def price_list(request: werkzeug.Request) -> tuple[int, dict[str, Any]]:
    """(HTTP status, body) of a request for GetProducts, its caller's permissions looked at."""
    from moto.core import DEFAULT_ACCOUNT_ID

    key = KEY.search(request.headers.get("Authorization", ""))
    asked = Request(action="pricing:GetProducts", keys={"aws:RequestedRegion": REGION, "aws:SecureTransport": True})
    why = refused(DEFAULT_ACCOUNT_ID, key.group(1) if key else "", [asked])
    if why:
        return 400, {"__type": why[0], "Message": why[1]}
    return 200, products(json.loads(request.get_data() or "{}"))
