"""Karpenter: the roles it needs, the interruption queue it reads, its releases, and the capacity it may launch."""
