"""Gap: moto has no Price List service. Karpenter would go by prices of its own, which our Spot prices do not fit.

Source: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
"""

import json
import re
from typing import Any

from otel_on_spot.lab.aws.prices import on_demand_price

TARGET = "AWSPriceListService.GetProducts"
BARE_METAL = "Compute Instance (bare metal)"
KEY = re.compile(r"Credential=([^/]+)/")


def products(asked: dict[str, Any]) -> dict[str, Any]:
    """GetProducts' answer: every instance type of the family asked for, on one page."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    told = {one["Field"]: one["Value"] for one in asked.get("Filters") or []}
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


def answer(environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """(HTTP status, body) of a WSGI request for GetProducts, its caller's permissions looked at."""
    from moto.core import DEFAULT_ACCOUNT_ID

    from otel_on_spot.lab.aws.bridges_permissions import refused

    key = KEY.search(environ.get("HTTP_AUTHORIZATION", ""))
    why = refused(DEFAULT_ACCOUNT_ID, key.group(1) if key else "", "pricing:GetProducts")
    if why:
        return "400 Bad Request", {"__type": "AccessDeniedException", "Message": why}
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return "200 OK", products(json.loads(environ["wsgi.input"].read(length) or "{}"))
