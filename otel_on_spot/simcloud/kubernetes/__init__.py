"""The Kubernetes API of a simulated cluster: objects, CRDs, finalizers, Helm releases, and who serves them.

``api.Kubernetes`` is the only backend here; what handlers and controllers need of one is its public methods.
"""
