"""The cluster on one machine.

Real Kubernetes, Karpenter and Argo CD over the simulated cloud, in a network of their own.
"""
