"""Measured, never asserted: import, plan, and how the plan grows."""
