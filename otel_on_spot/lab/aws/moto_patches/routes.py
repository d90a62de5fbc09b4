"""The lab's own routes beside moto's.

``/lab/instances`` (what runs, small enough to be read every second), ``/lab/capacity`` and ``/lab/calls`` (what roles'
sessions asked, and what IAM decided).
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from werkzeug import Request, Response

from otel_on_spot.kubernetes.names import cluster_tag
from otel_on_spot.lab.aws.capacity import Shortage, set_shortages, shortages
from otel_on_spot.lab.aws.moto_patches import iam, prices

START = "/lab/"


def user_data(told: Any) -> str:
    """User data of an instance as text; moto has it in base64 or not, by the way that it came."""
    text = told.decode() if isinstance(told, bytes) else str(told or "")
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return text


def instance_row(instance: Any, owned: str) -> dict[str, Any] | None:
    """One of moto's instances as the lab reads it; None where it has not the tag ``owned``."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    if owned and owned not in tags:
        return None
    kind = INSTANCE_TYPES.get(instance.instance_type) or {}
    network = kind.get("NetworkInfo") or {}
    profile = instance.iam_instance_profile
    return {
        "id": instance.id,
        "state": instance.state,
        "type": instance.instance_type,
        "zone": instance.availability_zone,
        "privateIp": instance.private_ip,
        "privateDnsName": instance.private_dns_name,
        "lifecycle": instance.lifecycle or "on-demand",
        "launched": instance.launch_time.timestamp(),
        "imageId": instance.image_id,
        "profile": profile.get("Arn", "") if isinstance(profile, dict) else getattr(profile, "arn", "") or "",
        "tags": tags,
        "userData": user_data(instance.user_data),
        "vcpus": (kind.get("VCpuInfo") or {}).get("DefaultVCpus", 2),
        "memoryMib": (kind.get("MemoryInfo") or {}).get("SizeInMiB", 4096),
        "architecture": ((kind.get("ProcessorInfo") or {}).get("SupportedArchitectures") or ["x86_64"])[-1],
        "interfaces": network.get("MaximumNetworkInterfaces", 3),
        "addresses": network.get("Ipv4AddressesPerInterface", 10),
    }


class LabRoutes:
    """WSGI application: the lab's routes, the price list, and behind them moto."""

    def __init__(self, app: Callable[..., Iterable[bytes]], folder: Path) -> None:
        self.app = app
        self.folder = folder

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        if request.headers.get("X-Amz-Target") == prices.TARGET:
            return _json(*prices.price_list(request))(environ, start_response)
        if not request.path.startswith(START):
            return self.app(environ, start_response)
        try:
            body = self._answer(request, request.path.removeprefix(START))
        except (ValueError, TypeError) as problem:
            return _json(400, {"error": str(problem)})(environ, start_response)
        if body is None:
            body = {"error": f"{request.path}: the lab has instances, capacity and calls"}
            return _json(404, body)(environ, start_response)
        return _json(200, body)(environ, start_response)

    def _answer(self, request: Request, name: str) -> Any:
        if name == "instances":
            return self._instances(request.args["region"], request.args.get("cluster", ""))
        if name == "capacity":
            if request.method == "PUT":
                set_shortages(self.folder, [Shortage(**row) for row in json.loads(request.get_data())])
            return [asdict(shortage) for shortage in shortages(self.folder)]
        return list(iam.KEPT) if name == "calls" else None

    @staticmethod
    def _instances(region: str, cluster: str) -> list[dict[str, Any]]:
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.ec2.models import ec2_backends

        owned = cluster_tag(cluster) if cluster else ""
        backend = ec2_backends[DEFAULT_ACCOUNT_ID][region]
        rows = [instance_row(instance, owned) for r in list(backend.reservations.values()) for instance in r.instances]
        return [row for row in rows if row is not None]


def _json(status: int, body: Any) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
