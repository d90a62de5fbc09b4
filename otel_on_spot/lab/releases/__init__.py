"""Helm releases in the lab.

The objects of its chart in the API server, and its controllers as processes beside it. ``runner.Releases`` is what
the simulated cloud's Helm handler calls. ``karpenter`` and ``argocd`` know their chart each.
"""
