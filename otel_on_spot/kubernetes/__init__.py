"""Kubernetes as the tools see it: names, kubeconfigs and one client."""
