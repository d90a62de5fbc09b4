"""The certificates that load balancers are given: whether each is there, issued, and of the load balancer's name."""

from collections.abc import Iterator
from typing import Any, Final

import yaml
from botocore.exceptions import ClientError

from infra import ingress
from otel_on_spot.aws_errors import error_code
from otel_on_spot.doctor.check import Judging, result_of
from otel_on_spot.findings import Finding
from otel_on_spot.kubernetes.names import APPLICATION
from otel_on_spot.preflight.situation import Situation

PAGE: Final = "docs/expose-the-shop.md"
NOT_SEEN: Final = ("ResourceNotFoundException", "InvalidArnException")


@result_of
def given(situation: Situation) -> Judging:
    """Each certificate of ``ingress`` is issued, and covers the host of its load balancer.

    Raises:
        botocore.exceptions.ClientError: AWS refused for another reason than that the certificate is not seen.
    """
    wanted = dict(_wanted(situation))
    if not wanted:
        return 0, "none: nothing is reached by a load balancer with TLS"
    acm = situation.client("acm")
    for host, arn in wanted.items():
        try:
            problems = list(_unfit(acm.describe_certificate(CertificateArn=arn)["Certificate"], host))
        except ClientError as problem:
            if error_code(problem) not in NOT_SEEN:
                raise
            told = f"{error_code(problem)}: {problem.response['Error'].get('Message', '')}"
            problems = [(told, "the certificate is there, in the account and region of the stack")]
        for seen, rule in problems:
            command = situation.command(f"acm describe-certificate --certificate-arn {arn}")
            yield Finding(subject=f"{host}: {arn}", seen=seen, rule=rule, remedy=(command, f"see {PAGE}"))
    return len(wanted), ", ".join(wanted)


def _wanted(situation: Situation) -> Iterator[tuple[str, str]]:
    """Host and ARN of each load balancer that has a certificate."""
    for application in situation.of_type(APPLICATION.token):
        inputs = situation.wanted(application)
        if inputs["metadata"].get("name") != ingress.NAME:
            continue
        told = yaml.load(inputs["spec"]["source"]["helm"]["values"], Loader=yaml.CSafeLoader)
        for key in ("shop", "argocd"):
            balancer = told.get(key) or {}
            if balancer.get("certificateArn"):
                yield balancer["host"], balancer["certificateArn"]


def _unfit(certificate: dict[str, Any], host: str) -> Iterator[tuple[str, str]]:
    """What a certificate is, and what it should be."""
    if certificate["Status"] != "ISSUED":
        yield f"its status is {certificate['Status']}", "a load balancer takes a certificate that is issued"
    names = dict.fromkeys([certificate["DomainName"], *certificate.get("SubjectAlternativeNames", ())])
    # A wildcard stands for one label. Source: https://docs.aws.amazon.com/acm/latest/userguide/acm-concepts.html
    if not {host, f"*.{host.partition('.')[2]}"} & {name.lower() for name in names}:
        yield f"it is of {', '.join(names)}", f"a browser at {host} takes a certificate of that name"
