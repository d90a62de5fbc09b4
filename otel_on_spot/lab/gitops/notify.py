"""Tells Argo CD that Git has something new, as a Git host's webhook does."""

from otel_on_spot.kubernetes.names import APPLICATION, REFRESH
from otel_on_spot.lab.kubernetes_api import KubernetesApi
from otel_on_spot.simcloud.kubernetes_api import Object


def look_again(api: KubernetesApi, namespace: str) -> list[str]:
    """Ask for a hard refresh of every Application, past what the repo server remembers: their names.

    The controller removes the annotation when it has looked.
    Source: https://argo-cd.readthedocs.io/en/stable/user-guide/annotations-and-labels/

    Raises:
        ApiError: the API server refuses.
    """
    found = api.objects(*APPLICATION.identity, namespace)
    for application in found:
        api.merge(_identity(application), {"metadata": {"annotations": {REFRESH: "hard"}}})
    return [application["metadata"]["name"] for application in found]


def _identity(thing: Object) -> Object:
    metadata = {key: thing["metadata"][key] for key in ("name", "namespace")}
    return {"apiVersion": thing["apiVersion"], "kind": thing["kind"], "metadata": metadata}
