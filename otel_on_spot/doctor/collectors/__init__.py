"""The calls to AWS and the Kubernetes API: each group of facts is one task, and all run at once."""
