"""The program in a process that keeps its imports: the engine runs it again without the seconds of a start.

The Automation API serves a program in the caller's process only; here the tests change the program's files and kill the
engine, so it needs one of its own, and the API's private server.
"""

import gc
import runpy
import sys
from concurrent import futures
from pathlib import Path

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import language_pb2_grpc

from otel_on_spot.processes import collect_garbage_seldom


def main() -> None:
    """Serve the program of the current folder until standard input ends; the port is the first line of output."""
    sys.path.insert(0, str(Path.cwd()))
    gc.disable()
    import pulumi_aws  # noqa: F401
    import pulumi_eks  # noqa: F401
    import pulumi_kubernetes  # noqa: F401

    import infra.settings  # noqa: F401

    collect_garbage_seldom()

    server = grpc.server(futures.ThreadPoolExecutor(4), options=_GRPC_CHANNEL_OPTIONS)

    def program() -> None:
        runpy.run_path("__main__.py", run_name="__main__")

    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(program), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    main()
