"""The lab's tools: pinned Go modules, built once into a per-user cache, and what a machine must offer for them."""

from lab.toolchain.preflight import check
from lab.toolchain.problem import Problem, ToolchainError, message
from lab.toolchain.tools import Tools, ensure

__all__ = ["Problem", "ToolchainError", "Tools", "check", "ensure", "message"]
