"""Pulumi's provider protocol over gRPC, attached to the real engine with PULUMI_DEBUG_PROVIDERS."""
