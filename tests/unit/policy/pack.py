"""The policy pack as the engine starts it, and requests as the engine sends them."""

import subprocess
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.program.values import Reference, Secret, encoded, holds_unknown, mapped

Properties = dict[str, Any]


class Pack:
    """A running pack: the policies that it has, and what it says of a stack."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = analyzer_pb2_grpc.AnalyzerStub(self._channel)
        self.policies = list(self._stub.GetAnalyzerInfo(empty_pb2.Empty()).policies)

    def judge(self, resources: "Iterable[Sent]", *, analyze: bool = True) -> list[Any]:
        """Diagnostics of one run: each resource's inputs as it is registered, then the stack's outputs at the end."""
        found = []
        for sent in resources if analyze else ():
            request = analyzer_pb2.AnalyzeRequest(
                type=sent.type, urn=sent.urn, name=sent.name, properties=encoded(sent.inputs)
            )
            found += self._stub.Analyze(request).diagnostics
        request = analyzer_pb2.AnalyzeStackRequest(
            resources=[
                analyzer_pb2.AnalyzerResource(
                    type=sent.type, urn=sent.urn, name=sent.name, properties=encoded(sent.outputs)
                )
                for sent in resources
            ]
        )
        return found + list(self._stub.AnalyzeStack(request).diagnostics)

    def close(self) -> None:
        """Let go of the connection."""
        self._channel.close()


class Sent:
    """What the engine sends of a resource."""

    def __init__(self, registration: Registration, *, configured: bool) -> None:
        self.type, self.name, self.urn = registration.type, registration.name, registration.urn
        self.inputs = _on_the_wire(registration.inputs)
        self.outputs = self.inputs | _on_the_wire(registration.outputs) if configured else {}


def _on_the_wire(properties: Any) -> Properties:
    """Properties with references as URNs: the engine keeps no references for an analyzer."""

    def leaf(value: Any) -> Any:
        if isinstance(value, Secret):
            return Secret(mapped(value.value, leaf))
        return value.urn if isinstance(value, Reference) else value

    return mapped(dict(properties), leaf)


def sent(recording: Recording) -> list[Sent]:
    """A recorded graph as the engine sends it. On a preview, a provider with unknown configuration gives no outputs."""
    unconfigured = {
        r.urn for r in recording if r.type.startswith("pulumi:providers:") and holds_unknown(dict(r.inputs))
    }
    return [Sent(r, configured=r.provider.rpartition("::")[0] not in unconfigured) for r in recording]


@contextmanager
def started(folder: Path) -> Generator[Pack]:
    """A pack in a process of its own, by the command of the Python language host."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:0", str(folder)],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        pack = Pack(int(process.stdout.readline()))
        yield pack
        pack.close()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
