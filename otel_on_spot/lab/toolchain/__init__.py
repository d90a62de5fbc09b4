"""The lab's tools: pinned Go modules, built once into a per-user cache, and what a machine must offer for them."""

from otel_on_spot.lab.toolchain.preflight import check
from otel_on_spot.lab.toolchain.problem import Problem, ToolchainError, message
from otel_on_spot.lab.toolchain.tools import Tools, ensure

__all__ = ["Problem", "ToolchainError", "Tools", "check", "ensure", "message"]
