"""The EKS Pod Identity agent and the service behind it, over the associations that the program declared.

Run as ``python -m otel_on_spot.lab.aws.pod_identity``. It serves ``http://169.254.170.23/v1/credentials``. Without
the add-on eks-pod-identity-agent nobody answers: the connection is closed.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html,
https://github.com/aws/eks-pod-identity-agent (handlers and errors),
https://docs.aws.amazon.com/eks/latest/APIReference/API_auth_AssumeRoleForPodIdentity.html
"""

import json
import uuid
from dataclasses import dataclass

from botocore.exceptions import ClientError
from werkzeug import Request, Response
from werkzeug.serving import BaseWSGIServer

from otel_on_spot.iam import allows
from otel_on_spot.kubernetes.names import POD_IDENTITY
from otel_on_spot.lab import http_server, options
from otel_on_spot.lab.aws.endpoint import Endpoint
from otel_on_spot.lab.aws.token_review import Reviewer, TokenRefusedError
from otel_on_spot.simcloud.tables import Tables

ADDON = "eks-pod-identity-agent"


class CredentialsRefusedError(Exception):
    """No credentials. ``status`` is what the agent answers with."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(f"[{uuid.uuid4()}]: ({code}): {message}, fault: client")
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Associations:
    """The cluster's side: add-ons and associations."""

    tables: Tables
    cluster: str

    @property
    def agent_installed(self) -> bool:
        """True where the agent's add-on is installed."""
        return self.tables.get("addons", f"{self.cluster}/{ADDON}") is not None

    def role(self, namespace: str, account: str) -> str:
        """ARN of the role of a service account; empty where it has none."""
        return (self.tables.get("pod-identities", f"{self.cluster}/{namespace}/{account}") or {}).get("roleArn", "")


def credentials(associations: Associations, aws: Endpoint, reviewer: Reviewer, token: str) -> dict[str, str]:
    """Credentials for the holder of a service account's token.

    Args:
        associations: service account -> role, as the program declared them.
        aws: moto, which keeps the roles and hands out credentials.
        reviewer: asks the API server whose the token is.
        token: a service account's, for the audience of EKS Pod Identity; empty where none was sent.

    Raises:
        CredentialsRefusedError: no token, not a good one, no association, or the role does not trust EKS Pod Identity.
    """
    if not token:
        raise CredentialsRefusedError("InvalidRequestException", 400, "Service account token cannot be empty")
    try:
        account = reviewer.review(token, POD_IDENTITY)
    except TokenRefusedError as refused:
        raise CredentialsRefusedError(
            "InvalidTokenException", 400, f"The token included in the request is invalid: {refused}"
        ) from None
    except OSError as problem:
        raise CredentialsRefusedError(
            "InternalServerException", 500, f"the API server does not answer: {problem}"
        ) from None
    role = associations.role(account.namespace, account.name)
    if not role:
        who = f"{account.namespace}/{account.name} in cluster {associations.cluster}"
        text = f"No pod identity association for service account {who}"
        raise CredentialsRefusedError("ResourceNotFoundException", 404, text)
    try:
        trust = aws.client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
    except ClientError:
        trust = {}
    service = {"Service": POD_IDENTITY}
    tags = {
        "eks-cluster-name": associations.cluster,
        "kubernetes-namespace": account.namespace,
        "kubernetes-service-account": account.name,
    }
    # Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html#pod-id-abac-tags
    asked = {"aws:SourceAccount": role.split(":")[4]} | {f"aws:RequestTag/{key}": told for key, told in tags.items()}
    actions = ("sts:AssumeRole", "sts:TagSession")
    if not all(allows(trust, action, context=asked, principal=service) for action in actions):
        text = "Unauthorized Exception! EKS does not have permissions to assume the associated role."
        raise CredentialsRefusedError("AccessDeniedException", 400, text)
    session = f"eks-{associations.cluster}-{account.pod or account.name}"[:27] + f"-{uuid.uuid4()}"
    made = aws.client("sts").assume_role(RoleArn=role, RoleSessionName=session)["Credentials"]
    return {
        "AccessKeyId": made["AccessKeyId"],
        "SecretAccessKey": made["SecretAccessKey"],
        "Token": made["SessionToken"],
        "AccountId": role.split(":")[4],
        "Expiration": made["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def server(address: tuple[str, int], associations: Associations, aws: Endpoint, reviewer: Reviewer) -> BaseWSGIServer:
    """The agent, bound to its address and not yet serving.

    Args:
        address: host and port.
        associations: service account -> role, and whether the agent's add-on is installed.
        aws: moto, which keeps the roles and hands out credentials.
        reviewer: asks the API server whose a token is.
    """

    @Request.application
    def application(request: Request) -> Response:
        if not associations.agent_installed:
            raise ConnectionError("no agent: the add-on is not installed")
        if request.path != "/v1/credentials":
            return Response("404 page not found\n", 404)
        try:
            made = credentials(associations, aws, reviewer, request.headers.get("Authorization", ""))
        except CredentialsRefusedError as refused:
            print(refused, flush=True)
            return Response(f"{refused}\n", refused.status)
        return Response(json.dumps(made), mimetype="application/json")

    return http_server.server(address, application)


def main() -> None:
    """Serve until killed."""
    given = options.given("host", "port", "cluster", "tables", "moto", "region", "kubeconfig")
    associations = Associations(tables=Tables(given.tables), cluster=given.cluster)
    aws, reviewer = Endpoint(given.moto, given.region), Reviewer(given.kubeconfig)
    server((given.host, given.port), associations, aws, reviewer).serve_forever()


if __name__ == "__main__":
    main()
