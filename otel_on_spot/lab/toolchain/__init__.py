"""The lab's tools: pinned Go modules, built once into a per-user cache, and what a machine must offer for them."""

from otel_on_spot.lab.toolchain.golang import ToolchainError, message
from otel_on_spot.lab.toolchain.preflight import check
from otel_on_spot.lab.toolchain.tools import Tools, ensure, ensure_module, missing

__all__ = ["ToolchainError", "Tools", "check", "ensure", "ensure_module", "message", "missing"]
