"""The four lessons on a real control plane, with the real Karpenter, Argo CD and authenticator."""
