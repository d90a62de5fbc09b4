"""moto's server in a process of its own, with a memory: its backends are saved after each change, loaded at the start.

Run as ``python -m otel_on_spot.simcloud.moto_main --port PORT --state FILE``; ``--forgetful`` saves nothing, and
``--plugin MODULE:FUNCTION`` lets a function of another package add to moto and wrap the application.
"""

import argparse
import functools
import gc
import importlib
import io
import json
import logging
import os
import pickle
import re
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from otel_on_spot.files import write_atomically
from otel_on_spot.processes import collect_garbage_seldom

SERVICES = (
    *("ec2", "iam", "sqs", "events", "kms", "logs", "eks", "ssm", "sts", "s3", "service-quotas", "cloudwatch", "sns"),
)
READS = re.compile(r"^(Describe|List|Get|BatchGet|Head|Simulate|Decode)")
UNLOCKED = ("ReceiveMessage",)
"""Reads that may wait: a queue is polled for 20 seconds, and nobody else should wait for that."""

_lock_type = type(threading.RLock())


class _Pickler(pickle.Pickler):
    """Pickles moto's backends: a lock is made anew, an RSA key travels as PEM."""

    def reducer_override(self, value: Any) -> Any:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

        if isinstance(value, _lock_type):
            return threading.RLock, ()
        if isinstance(value, type(threading.Lock())):
            return threading.Lock, ()
        if isinstance(value, RSAPrivateKey):
            return _rsa_key, (_pem(value),)
        return NotImplemented

    def persistent_id(self, value: Any) -> Any:
        """Policies that AWS manages are 8 MB that moto has anyway: only their ARN is written."""
        from moto.iam.models import AWSManagedPolicy

        return value.arn if isinstance(value, AWSManagedPolicy) else None


class _Unpickler(pickle.Unpickler):  # noqa: S301 (our own file)
    """Reads what _Pickler wrote."""

    def persistent_load(self, pid: Any) -> Any:
        """The policy that AWS manages, by its ARN."""
        return _managed_policies()[pid]


@functools.cache
def _managed_policies() -> dict[str, Any]:
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.iam.models import iam_backends

    return dict(iam_backends[DEFAULT_ACCOUNT_ID]["aws"].managed_policies)


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _rsa_key(pem: bytes) -> Any:
    from cryptography.hazmat.primitives import serialization

    return serialization.load_pem_private_key(pem, None)


class Memory:
    """moto's backends on disk, one file, replaced whole."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def save(self) -> None:
        """Write every account's and region's backend."""
        from moto.backends import get_backend

        state = {
            service: {
                account: {region: backend for region, backend in regions.items() if _used(backend)}
                for account, regions in get_backend(service).items()
            }
            for service in SERVICES
        }
        buffer = io.BytesIO()
        _Pickler(buffer).dump(state)
        write_atomically(self.file, buffer.getvalue())

    def load(self) -> None:
        """Bring the saved backends back; nothing to do where none were saved."""
        from moto.backends import get_backend

        if not self.file.exists():
            return
        with self.file.open("rb") as file:
            state = _Unpickler(file).load()
        for service, accounts in state.items():
            backends = get_backend(service)
            for account, regions in accounts.items():
                dict.update(backends[account], regions)
        for regions in state.get("iam", {}).values():
            for backend in regions.values():
                _count_attachments(backend)


def _count_attachments(backend: Any) -> None:
    """Policies that AWS manages are read anew and count from nothing; who has one attached is kept."""
    from moto.iam.models import AWSManagedPolicy

    for holder in (*backend.roles.values(), *backend.users.values(), *backend.groups.values()):
        for policy in holder.managed_policies.values():
            if isinstance(policy, AWSManagedPolicy):
                policy.attachment_count += 1


def _used(backend: Any) -> bool:
    """IAM makes a backend for every partition; an empty one is not worth writing."""
    return not hasattr(backend, "managed_policies") or bool(
        backend.roles
        or backend.instance_profiles
        or backend.managed_policies.keys() - {p.arn for p in backend.aws_managed_policies}
    )


class Remembering:
    """WSGI middleware: one change at a time, each saved before it is answered; without a memory, nothing is saved."""

    def __init__(self, app: Callable[..., Iterable[bytes]], memory: Memory | None) -> None:
        self.app = app
        self.memory = memory
        self.lock = threading.RLock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        environ["wsgi.input"] = io.BytesIO(body)
        action = _action(environ, body)
        if action in UNLOCKED:
            return self.app(environ, start_response)
        with self.lock:
            answer = list(self.app(environ, start_response))
            if self.memory and not READS.match(action):
                self.memory.save()
        return answer


def _action(environ: dict[str, Any], body: bytes) -> str:
    """Name of the AWS action asked for; of a REST service, Get for a GET."""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return target.rpartition(".")[2]
    named = re.search(rb"(?:^|&)Action=([A-Za-z]+)", body)
    if named:
        return named.group(1).decode()
    return "Get" if environ.get("REQUEST_METHOD") == "GET" else "Change"


def _only_one_partition() -> None:
    """Keep moto from reading 8 MB of AWS's own policies for six partitions, half a second each: one is enough."""
    from moto.iam.models import IAMBackend

    read = IAMBackend._init_aws_policies
    IAMBackend._init_aws_policies = lambda self: read(self) if self.region_name == "aws" else []


def _look_up_once() -> None:
    """Keep what moto looks up at every request and what never changes: a fourth of all its time."""
    from moto import backends
    from moto.core import responses, utils

    backends.list_of_moto_modules = functools.cache(lambda found=backends.list_of_moto_modules: tuple(found()))  # ty: ignore[invalid-assignment]
    responses.method_names_from_class = functools.cache(utils.method_names_from_class)  # ty: ignore[invalid-assignment]
    utils.create_loader = functools.cache(utils.create_loader)  # ty: ignore[invalid-assignment]


def _keep_queue_policies() -> None:
    """Keep a queue's policy, as AWS does, whenever another attribute is set: moto forgets it."""
    from moto.sqs.models import Queue

    set_attributes = Queue._set_attributes

    def keeping(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
        had = getattr(self, "_policy_json", None) and self.policy
        set_attributes(self, attributes, now)
        if "Policy" not in attributes and had:
            self.policy = had

    Queue._set_attributes = keeping


QUOTAS = {
    "L-0263D0A3": ("EC2-VPC Elastic IPs", 5.0),
    "L-34B43A08": ("All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 10000.0),
    "L-1216C47A": ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 10000.0),
}
"""Quotas of EC2 with their values: of vCPUs those of an account that is in use, as a new one begins with 5.

Source: https://docs.aws.amazon.com/general/latest/gr/ec2-service.html
"""


def _tell_quotas() -> None:
    """Tell EC2's quotas, of which moto knows VPCs' alone, and grant at once what is asked for."""
    from moto.servicequotas.models import ServiceQuotasBackend
    from moto.servicequotas.responses import ServiceQuotasResponse

    get = ServiceQuotasBackend.get_service_quota

    def told(self: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        if service_code == "ec2" and quota_code in QUOTAS:
            name, value = QUOTAS[quota_code]
            quota = {"ServiceCode": "ec2", "QuotaCode": quota_code, "QuotaName": name, "Value": value}
            quota |= {"Adjustable": True, "Unit": "None"}
        else:
            quota = get(self, service_code, quota_code)
        granted = getattr(self, "granted", {})
        return {**quota, "Value": granted.get(quota_code, quota["Value"])}

    def requested(self: Any) -> str:
        asked = json.loads(self.body)
        quota = self.backend.get_service_quota(asked["ServiceCode"], asked["QuotaCode"])
        self.backend.granted = {**getattr(self.backend, "granted", {}), asked["QuotaCode"]: asked["DesiredValue"]}
        keys = ("ServiceCode", "QuotaCode", "QuotaName")
        answer = {key: quota[key] for key in keys} | {"Id": "simulated", "Status": "APPROVED"}
        return json.dumps({"RequestedQuota": answer | {"DesiredValue": asked["DesiredValue"]}})

    ServiceQuotasBackend.get_service_quota = told
    ServiceQuotasResponse.request_service_quota_increase = requested  # ty: ignore[missing-attribute]


def _heed_conditions_of_bucket_policies() -> None:
    """Judge a bucket's policy with its conditions: moto takes a Deny without TLS for one of everything."""
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket

    from otel_on_spot.iam import allows

    results = {"allowed": PermissionResult.PERMITTED, "explicitly denied": PermissionResult.DENIED}

    def judged(self: Any, action: str, resource: str) -> Any:
        told = self.policy.decode() if self.policy else None
        # The loopback stands for AWS's own endpoint, which is HTTPS.
        decision = allows(told, action, resource, {"aws:SecureTransport": True}, {"AWS": ("*",)})
        return results.get(decision.outcome, PermissionResult.NEUTRAL)

    FakeBucket.get_permission = judged


def _tell_templates_tags_apart() -> None:
    """Keep a launch template's own tags out of what it launches, and tell them as they are now, as AWS does.

    moto adds them to what it launches, and tells those of its creation for ever.
    """
    from moto.ec2.models.launch_templates import LaunchTemplate

    create_version = LaunchTemplate.create_version

    def apart(self: Any, data: dict[str, Any], description: str) -> Any:
        told = data.get("TagSpecifications") or []
        kept = [specification for specification in told if specification.get("ResourceType") != "launch-template"]
        return create_version(self, {**data, "TagSpecifications": kept} if told else data, description)

    LaunchTemplate.create_version = apart
    now = property(LaunchTemplate.get_tags, lambda _self, _of_its_creation: None)
    LaunchTemplate.tags = now  # ty: ignore[invalid-attribute-access]


def _virtualize_in_hardware() -> None:
    """Tell hvm of instances whose image moto does not know, as of every type since 2014: moto tells paravirtual."""
    from moto.ec2.models.instances import Instance

    make = Instance.__init__

    def making(self: Any, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        self.virtualization_type = "hvm"

    Instance.__init__ = making


def _end_launches_without_their_key() -> None:
    """End an instance at its launch where the key of one of its volumes is not enabled, as EC2 does; moto runs it.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html#troubleshooting-launch-internal
    """
    from moto.ec2.models.instances import InstanceBackend, StateReason
    from moto.kms.models import kms_backends

    launch = InstanceBackend.run_instances

    def launching(self: Any, *arguments: Any, **options: Any) -> Any:
        reservation = launch(self, *arguments, **options)
        keys = kms_backends[self.account_id][self.region_name].keys
        for instance in reservation.instances:
            devices = [device.volume_id for _, device in instance.get_block_device_mapping]
            named = [str(self.get_volume(device).kms_key_id or "").rpartition("/")[2] for device in devices]
            if any(name in keys and keys[name].key_state != "Enabled" for name in named):
                instance.terminate()
                code = "Client.InternalError"
                instance.state_reason = StateReason(f"{code}: Client error on launch", code)
        return reservation

    InstanceBackend.run_instances = launching


def _keep_default_keys_awss_own() -> None:
    """Tell AWS as the manager of the key for volumes without one of their own, and rotate it; moto tells a customer."""
    from moto.ec2.models.elastic_block_store import EBSBackend
    from moto.kms.models import kms_backends

    make = EBSBackend._create_default_encryption_key

    def making(self: Any) -> str:
        arn = make(self)
        key = kms_backends[self.account_id][self.region_name].keys[arn.rpartition("/")[2]]
        key.key_manager, key.key_rotation_status = "AWS", True
        return arn

    EBSBackend._create_default_encryption_key = making


def _resolve_in_every_vpc() -> None:
    """Give a new VPC the DHCP options that AWS gives it, with its own resolver; moto gives none, which AWS does not."""
    from moto.ec2.models.vpcs import VPCBackend

    make = VPCBackend.create_vpc

    def making(self: Any, *arguments: Any, **options: Any) -> Any:
        vpc = make(self, *arguments, **options)
        self.associate_dhcp_options(self.create_dhcp_options(["AmazonProvidedDNS"]), vpc)
        return vpc

    VPCBackend.create_vpc = making


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="the backends are loaded from here, and saved here")
    parser.add_argument("--forgetful", action="store_true", help="load, and save nothing")
    parser.add_argument(
        "--plugin", metavar="MODULE:FUNCTION", help="called with its folder and the application; returns one"
    )
    parser.add_argument("--plugin-folder", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.plugin and not options.forgetful:
        parser.error("--plugin needs --forgetful: what a plugin adds to moto cannot be saved")
    gc.disable()  # until its tables are loaded
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    from otel_on_spot.simcloud.eks_answers import EksAnswers

    _only_one_partition()
    _look_up_once()
    _keep_queue_policies()
    _tell_templates_tags_apart()
    _virtualize_in_hardware()
    _end_launches_without_their_key()
    _keep_default_keys_awss_own()
    _resolve_in_every_vpc()
    _tell_quotas()
    _heed_conditions_of_bucket_policies()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    memory = Memory(options.state)
    memory.load()
    inner: Callable[..., Iterable[bytes]] = DomainDispatcherApplication(create_backend_app)
    inner = EksAnswers(inner, (options.plugin_folder or options.state).with_name("tables.sqlite"))
    if options.plugin:
        module, _, function = options.plugin.partition(":")
        inner = getattr(importlib.import_module(module), function)(options.plugin_folder, inner)
    app = Remembering(inner, None if options.forgetful else memory)
    collect_garbage_seldom()
    server = make_server(options.host, options.port, app, threaded=True)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def leave_with_the_parent() -> None:
        """A cloud whose owner was killed must not stay behind."""
        import time

        while os.getppid() == parent:
            time.sleep(1)
        server.shutdown()

    threading.Thread(target=leave_with_the_parent, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
