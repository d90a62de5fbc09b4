"""Identity of an instance: the credentials of its role, and the token that its kubelet shows to the cluster."""

import base64
import threading
import time
from typing import Any

import boto3
from botocore.exceptions import ClientError
from botocore.model import ServiceId
from botocore.signers import RequestSigner

from otel_on_spot.iam import allows
from otel_on_spot.lab.aws.endpoint import Endpoint

TOKEN_SECONDS = 600
"""Time for which a token is used; aws-iam-authenticator takes one for 15 minutes."""
SERVICE = "ec2.amazonaws.com"


class NodeCredentialsError(Exception):
    """The instance metadata would have none: no instance profile, no role in it, or a role that EC2 may not assume."""


class BootstrapRefusedError(NodeCredentialsError):
    """The role may not make the calls of the node's bootstrap."""


def cluster_token(session: boto3.Session, region: str, cluster: str) -> str:
    """The bearer token of a holder of AWS credentials: a presigned GetCallerIdentity.

    Source: https://github.com/kubernetes-sigs/aws-iam-authenticator/blob/v0.6.13/README.md#api-authorization-from-outside-a-cluster
    """
    url = RequestSigner(
        ServiceId("STS"), region, "sts", "v4", session.get_credentials(), session.events
    ).generate_presigned_url(
        {
            "method": "GET",
            "url": f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
            "body": {},
            "headers": {"x-k8s-aws-id": cluster},
            "context": {},
        },
        region_name=region,
        expires_in=60,
        operation_name="",
    )
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


class Identities:
    """Roles and tokens of instances; threads may share one."""

    def __init__(self, aws: Endpoint, cluster: str) -> None:
        self.aws = aws
        self.cluster = cluster
        self._tokens: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def profile_role(self, profile_arn: str) -> str:
        """ARN of the role in an instance profile.

        Raises:
            NodeCredentialsError: there is no profile, or none in it.
        """
        if not profile_arn:
            raise NodeCredentialsError("the instance has no instance profile")
        name = profile_arn.rpartition("/")[2]
        try:
            roles = self.aws.client("iam").get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
        except ClientError as problem:
            raise NodeCredentialsError(f"instance profile {name}: {problem.response['Error']['Message']}") from None
        if not roles:
            raise NodeCredentialsError(f"instance profile {name} has no role")
        return roles[0]["Arn"]

    def token(self, instance: str, role_arn: str) -> str:
        """The kubelet's token of an instance that uses a role, made anew every ten minutes.

        Raises:
            NodeCredentialsError: the role is gone, does not trust EC2, or may not make the calls of the bootstrap.
        """
        with self._lock:
            made, token = self._tokens.get(instance, (0.0, ""))
        if time.monotonic() - made < TOKEN_SECONDS and token:
            return token
        token = cluster_token(self._session(instance, role_arn), self.aws.region, self.cluster)
        with self._lock:
            self._tokens[instance] = (time.monotonic(), token)
        return token

    def forget(self, instance: str) -> None:
        """Drop an instance's token."""
        with self._lock:
            self._tokens.pop(instance, None)

    def _session(self, instance: str, role_arn: str) -> Any:
        try:
            role = self.aws.client("iam").get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
        except ClientError as problem:
            raise NodeCredentialsError(f"role {role_arn}: {problem.response['Error']['Message']}") from None
        if not allows(role["AssumeRolePolicyDocument"], "sts:AssumeRole", context={}, principal={"Service": SERVICE}):
            raise NodeCredentialsError(f"the trust policy of {role_arn} does not let {SERVICE} assume it")
        made = self.aws.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=instance)["Credentials"]
        session = boto3.Session(
            made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"], region_name=self.aws.region
        )
        self._bootstrap(session, instance)
        return session

    def _bootstrap(self, session: Any, instance: str) -> None:
        """Ask for the instance's private DNS name as its own role, as nodeadm does before it starts the kubelet.

        Source: https://github.com/awslabs/amazon-eks-ami/blob/main/nodeadm/internal/aws/ec2/instance_waiter.go

        Raises:
            BootstrapRefusedError: the role may not ask for it.
        """
        try:
            session.client("ec2", endpoint_url=self.aws.url).describe_instances(InstanceIds=[instance])
        except ClientError as problem:
            if problem.response["Error"]["Code"] == "UnauthorizedOperation":
                raise BootstrapRefusedError(f"nodeadm: {problem.response['Error']['Message']}") from None
