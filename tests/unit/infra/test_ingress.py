"""Ways in for users: what the program declares for them, in which order it goes, and only where a stack asks."""

import json
from functools import cache
from ipaddress import IPv4Network
from typing import Any

import parliament
import pytest
import yaml
from botocore.exceptions import ClientError

from access import scope as access
from access.boundary import boundary
from access.deployer import deployer
from infra import documents, ingress, names
from infra.documents import Scope
from infra.existing_vpc import FoundSubnet, FoundVpc
from infra.load_balancers import CLUSTER_TAG, load_balancer_policy
from infra.settings import parse
from otel_on_spot.iam import allows
from otel_on_spot.iam.decisions import Caller, Request, Resource, decide
from otel_on_spot.plan import cost
from otel_on_spot.plan.manifests import as_document
from otel_on_spot.plan.record import record
from otel_on_spot.plan.verdict import stack_of
from otel_on_spot.plan.workloads import images
from otel_on_spot.preflight import certificates
from otel_on_spot.preflight.situation import Identity, Situation
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.project import root
from policy.guardrails import violations
from tests.unit.conftest import recorded
from tests.unit.settings.test_argocd_access import OIDC, TEAM
from tests.unit.settings.test_settings import committed, keys_of

ACCOUNT, OTHER = "123456789012", "999999999999"
CERTIFICATE = f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"
WEB_ACL = f"arn:aws:wafv2:eu-west-1:{ACCOUNT}:regional/webacl/shop/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"
BALANCER: dict[str, Any] = {
    "scheme": "internet-facing",
    "inboundCidrs": ["0.0.0.0/0"],
    "certificateArn": CERTIFICATE,
}
SHOP = BALANCER | {"host": "shop.acme.io"}
BEHIND = BALANCER | {"inboundCidrs": ["192.88.99.0/24"]}
SIGN_ON: dict[str, Any] = {"adminEnabled": False, "domain": "cd.acme.io", "oidc": OIDC, "rbac": TEAM}
APPLICATION = "kubernetes:argoproj.io/v1alpha1:Application"
PROJECT = "kubernetes:argoproj.io/v1alpha1:AppProject"


def with_ingress(stack: str = "dev", **keys: Any) -> dict[str, Any]:
    raw = committed(stack)
    return raw | {"argocd": raw["argocd"] | SIGN_ON, "ingress": keys}


@cache
def both(stack: str = "prod") -> Recording:
    more = {"ingress": {"shop": SHOP | {"webAclArn": WEB_ACL}, "argocd": BEHIND}, "accountId": ACCOUNT}
    return record(stack, config_overrides={**more, "argocd": committed(stack)["argocd"] | SIGN_ON})


def told(recording: Recording, name: str) -> Any:
    (application,) = (thing for thing in recording.of_type(APPLICATION) if thing.name == name)
    return yaml.safe_load(application.inputs["spec"]["source"]["helm"]["values"])


def one(recording: Recording, ending: str, name: str) -> Registration:
    (found,) = (thing for thing in recording if thing.type.endswith(ending) and thing.name == name)
    return found


def test_without_the_setting_nothing_is_declared_of_it(plan: Recording) -> None:
    assert [thing.name for thing in plan if "ingress" in thing.name or "load-balancer" in thing.name] == []
    assert "exposed" not in json.dumps(told(plan, "platform-root"))


def test_the_policy_pack_has_nothing_against_it() -> None:
    assert violations(stack_of(both())) == []


def test_the_application_gets_both_load_balancers_and_its_chart() -> None:
    assert told(both(), "ingress-application") == {
        "clusterMetadata": {"clusterName": "otel-prod", "environment": "prod", "region": "eu-west-1"},
        "project": "ingress",
        "destinationServer": "https://kubernetes.default.svc",
        "tlsPolicy": "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
        "controller": {
            "chartRepository": "https://aws.github.io/eks-charts",
            "chartVersion": "3.5.0",
            "namespace": "aws-load-balancer-controller",
        },
        "shop": SHOP | {"webAclArn": WEB_ACL},
        "argocd": BEHIND | {"host": "cd.acme.io"},
    }


def test_a_mirror_of_chart_and_image_reaches_the_controller() -> None:
    mirror = {"chartRepository": "https://charts.acme.io/eks", "imageRepository": "registry.acme.io/eks/controller"}
    settings, problems = parse(with_ingress(shop=SHOP, controller=mirror))
    assert settings is not None, problems
    args = ingress.WaysInArgs(
        config=settings.ingress,
        gitops=settings.gitops,
        hosts=ingress.hosts(settings.ingress, settings.argocd),
        cluster_metadata=names.StackNames(cluster="otel-dev", region="eu-west-1").cluster_metadata("dev"),
        after=(),
    )

    found = ingress.values(args)["controller"]
    assert found["chartRepository"] == "https://charts.acme.io/eks"
    assert found["values"] == {"image": {"repository": "registry.acme.io/eks/controller"}}
    assert "https://charts.acme.io/eks" in ingress.project_spec(args)["sourceRepos"]


@pytest.mark.parametrize(("scheme", "role"), [("internet-facing", "elb"), ("internal", "internal-elb")])
def test_the_policy_lets_in_the_subnets_that_the_controller_takes_and_no_more(scheme: str, role: str) -> None:
    settings, problems = parse(with_ingress("prod", shop=SHOP | {"scheme": scheme}))
    assert settings is not None, problems
    entry = ingress.demo_values(settings.ingress, settings.network)["otel-demo"]["networkPolicy"]["entry"]
    allowed = [IPv4Network(source["ipBlock"]["cidr"]) for source in entry["frontend-proxy"]["from"]]
    subnets = [
        IPv4Network(subnet.inputs["cidrBlock"])
        for subnet in recorded("prod").of_type("aws:ec2/subnet:Subnet")
        if subnet.inputs["tags"].get(f"kubernetes.io/role/{role}") == "1"
    ]

    assert allowed == subnets
    assert len(allowed) == len(settings.network.zones)


EXISTING = {"vpcId": "vpc-0f0e0d0c1a2b3c4d5", "privateSubnetTags": {"tier": "private"}}
PUBLIC = {"publicSubnetTags": {"tier": "public"}}


def test_in_a_vpc_that_is_there_the_controller_is_told_where_and_its_ranges_are_let_in() -> None:
    network = {"zones": ["eu-west-1a", "eu-west-1b"], "existing": EXISTING | PUBLIC}
    found = record("dev", config_overrides={"ingress": {"shop": SHOP}, "network": network})
    given = told(found, "ingress-application")
    entry = told(found, "platform-root")["applications"]["otel-demo"]["values"]["networkPolicy"]["entry"]

    assert given["controller"]["vpcId"] == EXISTING["vpcId"]
    assert len(given["shop"]["subnetIds"]) == 2
    assert entry["frontend-proxy"]["from"] == [{"ipBlock": {"cidr": "10.0.0.0/16"}}]


def test_of_several_subnets_in_a_zone_a_load_balancer_takes_the_first() -> None:
    def subnets(*zones: str) -> tuple[FoundSubnet, ...]:
        return tuple(
            FoundSubnet(id=f"subnet-{number}", vpc_id="vpc-1", zone=zone, free=9, way_out="")
            for number, zone in enumerate(zones)
        )

    vpc = FoundVpc(ranges=(), dns_support=True, dns_hostnames=True, private=subnets("a", "a", "b"), public=())
    assert ingress.subnet_ids(vpc) == {"internet-facing": (), "internal": ("subnet-0", "subnet-2")}


def test_a_vpc_without_public_subnets_has_no_load_balancer_that_faces_the_internet() -> None:
    raw = with_ingress(shop=SHOP) | {"network": {"zones": ["eu-west-1a", "eu-west-1b"], "existing": EXISTING}}

    assert keys_of(raw) == ["network.existing.publicSubnetIds"]
    inside = with_ingress(shop=SHOP | {"scheme": "internal"})
    assert keys_of(inside | {"network": raw["network"]}) == []


def test_the_role_is_of_the_controllers_pods_alone_bounded_and_in_its_path() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    more = {"iam": {"permissionsBoundary": arn, "path": "/platform/"}, "ingress": {"shop": SHOP}}
    recording = record("dev", config_overrides=more)
    role = one(recording, ":Role", "load-balancers-role").inputs
    association = one(recording, ":PodIdentityAssociation", "load-balancers-association").inputs
    condition = json.loads(role["assumeRolePolicy"])["Statement"][0]["Condition"]["StringEquals"]

    assert (role["name"], role["path"], role["permissionsBoundary"]) == ("otel-dev-load-balancers", "/platform/", arn)
    assert role["name"] in names.StackNames(cluster="otel-dev", region="eu-west-1").roles
    assert association["namespace"] == condition["aws:RequestTag/kubernetes-namespace"]
    assert association["serviceAccount"] == condition["aws:RequestTag/kubernetes-service-account"]
    assert one(recording, ":Policy", "load-balancers-policy").inputs["path"] == "/platform/"


def test_load_balancers_go_before_whatever_removes_them_or_stands_under_them() -> None:
    """Destroyed in the other direction: the Application and all that it deployed goes first, then its project."""
    plan = both()
    application = one(plan, ":Application", "ingress-application")
    removes = [
        one(plan, ":AppProject", "ingress-project"),
        one(plan, ":Release", "argocd-release"),
        one(plan, ":PodIdentityAssociation", "load-balancers-association"),
        one(plan, ":RolePolicyAttachment", "load-balancers-policy"),
        one(plan, ":Addon", "cluster-before-nodes-eks-pod-identity-agent"),
        one(plan, ":NodeGroup", "cluster-system-nodes-group"),
        one(plan, ":Application", "platform-root"),
    ]
    under = [*plan.of_type("aws:ec2/subnet:Subnet"), *plan.of_type("aws:ec2/vpc:Vpc")]
    under += [*plan.of_type("aws:ec2/internetGateway:InternetGateway"), *plan.of_type("aws:ec2/route:Route")]

    assert [thing.name for thing in (*removes, *under) if not plan.reaches(application, thing)] == []
    assert application.inputs["metadata"]["finalizers"] == ["resources-finalizer.argocd.argoproj.io"]
    assert dict(application.custom_timeouts)["delete"] == "45m"


def test_the_estimate_and_the_list_of_images_know_them() -> None:
    document = as_document(both())
    lines = {line.what: line for line in cost.estimate(document, ()).lines}
    zones = len(committed("prod")["network"]["zones"])

    assert lines["load balancers"].expected == pytest.approx(2 * 730 * 0.0252)
    assert lines["load balancers, capacity units"].expected == pytest.approx(2 * 730 * 2 * 0.008)
    assert lines["load balancers, public addresses"].expected == pytest.approx(2 * zones * 730 * 0.005)
    assert "public.ecr.aws/eks/aws-load-balancer-controller:v3.5.0" in images(both(), root())
    assert cost.persistence(document["resources"])["claims"], "the root is told from the other Application"
    assert not {"load balancers"} & {line.what for line in cost.estimate(as_document(recorded("prod")), ()).lines}


SCOPE = Scope(cluster="c" * 40, region="ap-southeast-7", partition="aws-us-gov", account_id=ACCOUNT)
ELB = f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}"
GROUP = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group/sg-1"


def test_the_policy_fits_its_limit_with_the_longest_names_and_parliament_finds_nothing_wrong() -> None:
    policy = load_balancer_policy(SCOPE)
    assert len(json.dumps(policy, separators=(",", ":"))) <= documents.POLICY_SIZE_LIMIT
    # An action that needs two kinds of resource in two statements, and one pattern for listeners and their rules.
    split = {"MakeGroupsInAVpc", "UseWebAcls", "ChangeOwn"}
    found = [
        f"{statement['Sid']}: {finding.issue}: {finding.detail}"
        for statement in policy["Statement"]
        for finding in parliament.analyze_policy_string(json.dumps(documents.document(statement))).findings
        if finding.issue != "RESOURCE_STAR" and not (finding.issue == "RESOURCE_MISMATCH" and statement["Sid"] in split)
    ]
    assert found == []


def asked(action: str, arn: str, *, has: str = "", requests: str = "", **keys: Any) -> bool:
    """Whether the controller of the cluster ``otel-dev`` may: on a resource of a cluster, tagging it for one."""
    policy = load_balancer_policy(Scope(cluster="otel-dev", region="eu-west-1", partition="aws", account_id=ACCOUNT))
    held = {f"aws:ResourceTag/{CLUSTER_TAG}": has} if has else {}
    wanted = {f"aws:RequestTag/{CLUSTER_TAG}": requests} if requests else {}
    role = f"arn:aws:iam::{ACCOUNT}:role/otel-dev-load-balancers"
    caller = Caller(arn=role, role=role, identity=(policy,))
    request = Request(action=action, resources=(Resource(arn=arn, keys=held),), keys=wanted | keys)
    return bool(decide(request, caller))


@pytest.mark.parametrize(
    ("action", "arn"),
    [
        ("elasticloadbalancing:DeleteLoadBalancer", f"{ELB}:loadbalancer/app/k8s-shop/1"),
        ("elasticloadbalancing:SetSecurityGroups", f"{ELB}:loadbalancer/app/k8s-shop/1"),
        ("elasticloadbalancing:RegisterTargets", f"{ELB}:targetgroup/k8s-shop/1"),
        ("elasticloadbalancing:DeleteTargetGroup", f"{ELB}:targetgroup/k8s-shop/1"),
        ("elasticloadbalancing:ModifyListener", f"{ELB}:listener/app/k8s-shop/1/2"),
        ("elasticloadbalancing:DeleteRule", f"{ELB}:listener-rule/app/k8s-shop/1/2/3"),
        ("elasticloadbalancing:RemoveTags", f"{ELB}:loadbalancer/app/k8s-shop/1"),
        ("ec2:DeleteSecurityGroup", GROUP),
        ("ec2:AuthorizeSecurityGroupIngress", GROUP),
        ("ec2:DeleteTags", GROUP),
    ],
)
def test_the_controller_touches_what_is_its_clusters_and_nothing_of_another(action: str, arn: str) -> None:
    assert asked(action, arn, has="otel-dev")
    assert not asked(action, arn, has="otel-prod")
    assert not asked(action, arn)
    assert not asked(action, arn.replace(ACCOUNT, OTHER), has="otel-dev")


@pytest.mark.parametrize(
    ("action", "arn"),
    [
        ("elasticloadbalancing:CreateLoadBalancer", f"{ELB}:loadbalancer/app/k8s-shop/1"),
        ("elasticloadbalancing:CreateTargetGroup", f"{ELB}:targetgroup/k8s-shop/1"),
        ("elasticloadbalancing:CreateListener", f"{ELB}:listener/app/k8s-shop/1/2"),
        ("elasticloadbalancing:CreateRule", f"{ELB}:listener-rule/app/k8s-shop/1/2/3"),
        ("ec2:CreateSecurityGroup", GROUP),
    ],
)
def test_the_controller_makes_what_has_its_clusters_tag(action: str, arn: str) -> None:
    assert asked(action, arn, requests="otel-dev")
    assert not asked(action, arn, requests="otel-prod")
    assert not asked(action, arn)


def test_the_controller_gives_nothing_to_another_cluster_and_takes_nothing_of_one() -> None:
    balancer = f"{ELB}:loadbalancer/app/k8s-shop/1"
    add = "elasticloadbalancing:AddTags"

    assert asked(add, balancer, has="otel-dev")
    assert not asked(add, balancer, has="otel-dev", requests="otel-prod")
    assert not asked(add, balancer, has="otel-prod", requests="otel-dev")
    assert asked(add, balancer, requests="otel-dev", **{"elasticloadbalancing:CreateAction": "CreateLoadBalancer"})
    assert not asked("ec2:CreateTags", GROUP, requests="otel-dev")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"shop": {key: value for key, value in SHOP.items() if key != "certificateArn"}}, "ingress.shop.certificateArn"),
    ({"shop": SHOP | {"certificateArn": CERTIFICATE.replace("eu-west-1", "us-east-1")}}, "ingress.shop.certificateArn"),
    ({"shop": SHOP | {"certificateArn": CERTIFICATE.replace("aws:", "aws-cn:", 1)}}, "ingress.shop.certificateArn"),
    ({"shop": SHOP | {"certificateArn": CERTIFICATE.replace(ACCOUNT, OTHER)}}, "ingress.shop.certificateArn"),
    ({"shop": SHOP | {"certificateArn": "arn:aws:acm:eu-west-1:1:certificate/x"}}, "ingress.shop.certificateArn"),
    ({"shop": SHOP | {"webAclArn": WEB_ACL.replace("regional", "global")}}, "ingress.shop.webAclArn"),
    ({"shop": SHOP | {"webAclArn": WEB_ACL.replace("eu-west-1", "us-east-1")}}, "ingress.shop.webAclArn"),
    ({"shop": SHOP | {"host": "shop"}}, "ingress.shop.host"),
    ({"shop": SHOP | {"host": "https://shop.acme.io"}}, "ingress.shop.host"),
    ({"shop": SHOP | {"host": "-shop.acme.io"}}, "ingress.shop.host"),
    ({"shop": SHOP | {"host": f"{'a' * 64}.acme.io"}}, "ingress.shop.host"),
    ({"shop": SHOP | {"host": "10.0.0.1"}}, "ingress.shop.host"),
    ({"shop": SHOP | {"host": "cd.acme.io"}, "argocd": BEHIND}, "ingress.shop.host"),
    ({"shop": SHOP | {"scheme": "public"}}, "ingress.shop.scheme"),
    ({"shop": SHOP | {"inboundCidrs": []}}, "ingress.shop.inboundCidrs"),
    ({"shop": SHOP | {"inboundCidrs": ["10.0.0.1/8"]}}, "ingress.shop.inboundCidrs[0]"),
    ({"shop": SHOP | {"inboundCidrs": ["::/0"]}}, "ingress.shop.inboundCidrs[0]"),
    ({"argocd": BEHIND | {"inboundCidrs": ["0.0.0.0/0"]}}, "ingress.argocd.inboundCidrs"),
    ({"argocd": {"scheme": "internal", "inboundCidrs": ["10.0.0.0/8"]}}, "ingress.argocd.certificateArn"),
    ({"argocd": BEHIND | {"host": "cd.acme.io"}}, "ingress.argocd.host"),
    ({"tlsPolicy": "ELBSecurityPolicy-TLS-1-1-2017-01"}, "ingress.tlsPolicy"),
    ({"tlsPolicy": "ELBSecurityPolicy-TLS13-1-1-2021-06"}, "ingress.tlsPolicy"),
    ({"controller": {"chartVersion": "3.x"}}, "ingress.controller.chartVersion"),
    ({"controller": {"chartRepository": "oci://registry.acme.io/eks"}}, "ingress.controller.chartRepository"),
    ({"controller": {"imageRepository": "registry.acme.io/eks/x:v3.5.0"}}, "ingress.controller.imageRepository"),
]


@pytest.mark.parametrize(("given", "key"), WRONG)
def test_what_aws_or_a_browser_would_refuse_is_named(given: dict[str, Any], key: str) -> None:
    assert keys_of(with_ingress(**given) | {"accountId": ACCOUNT}) == [key]


def test_everything_wrong_is_told_at_once() -> None:
    plain = {"scheme": "internet-facing", "inboundCidrs": ["0.0.0.0/0"]}
    raw = committed("dev") | {"ingress": {"shop": plain | {"host": "argocd.internal"}, "argocd": plain}}
    raw["network"] = raw["network"] | {"publicPrefix": 28}

    assert set(keys_of(raw)) == {
        "ingress.shop.certificateArn",
        "ingress.argocd.certificateArn",
        "ingress.argocd",
        "argocd.adminEnabled",
        "ingress.argocd.inboundCidrs",
        "ingress.shop.host",
        "network.publicPrefix",
    }


def test_inside_and_outside_of_prod_a_shop_may_speak_http() -> None:
    inside = {"host": "shop.acme.io", "scheme": "internal", "inboundCidrs": ["10.0.0.0/8"]}

    assert keys_of(with_ingress("dev", shop=inside)) == []
    assert keys_of(with_ingress("prod", shop=inside)) == ["ingress.shop.certificateArn"]


@pytest.mark.parametrize(
    ("child", "keys"),
    [
        ({"enabled": False}, ["ingress.shop"]),
        ({"values": {"networkPolicy": {"entry": {"frontend-proxy": {}}}}}, ["gitops.applications.otel-demo.values"]),
        ({"values": {"networkPolicy": {"entry": {"grafana": {}}}}}, []),
        ({"values": {"networkPolicy": {"enabled": False}}}, []),
    ],
)
def test_a_load_balancer_leads_somewhere(child: dict[str, Any], keys: list[str]) -> None:
    raw = with_ingress(shop=SHOP)
    raw["gitops"] = raw["gitops"] | {"applications": {"otel-demo": child}}

    assert keys_of(raw) == keys


def test_the_bootstraps_roles_make_the_role_and_its_boundary_leaves_it_what_its_policy_allows() -> None:
    scope = access.Scope(
        stack="dev",
        cluster="otel-dev",
        region="eu-west-1",
        partition="aws",
        account_id=ACCOUNT,
        iam_path="/",
        service_role=None,
        kms_key_arn=None,
    )
    role = f"arn:aws:iam::{ACCOUNT}:role/otel-dev-load-balancers"
    policy = role.replace(":role/", ":policy/")
    cluster = f"arn:aws:eks:eu-west-1:{ACCOUNT}"
    asks = {
        "iam:CreateRole": (role, {"iam:PermissionsBoundary": scope.boundary}),
        "iam:AttachRolePolicy": (role, {"iam:PermissionsBoundary": scope.boundary, "iam:PolicyARN": policy}),
        "iam:CreatePolicy": (policy, {}),
        "iam:PassRole": (role, {"iam:PassedToService": "pods.eks.amazonaws.com"}),
        "eks:CreatePodIdentityAssociation": (f"{cluster}:cluster/otel-dev", {}),
        "eks:DeletePodIdentityAssociation": (f"{cluster}:podidentityassociation/otel-dev/a-1", {}),
        "iam:DeleteRole": (role, {}),
    }
    updater = Caller(arn=role, role=role, identity=tuple(deployer(scope).values()))
    refused = [
        action
        for action, (arn, keys) in asks.items()
        if not decide(Request(action=action, resources=(Resource(arn=arn),), keys=keys), updater)
    ]
    own = load_balancer_policy(Scope(cluster="otel-dev", region="eu-west-1", partition="aws", account_id=ACCOUNT))
    used = {action for statement in own["Statement"] for action in listed(statement["Action"])}
    linked = {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}

    assert refused == []
    assert [action for action in sorted(used) if not allows(boundary(scope), action, context=linked)] == []


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


class Acm:
    """Answers for every certificate what it was made with; without it there is none."""

    def __init__(self, **certificate: Any) -> None:
        self.certificate = certificate

    def describe_certificate(self, CertificateArn: str) -> dict[str, Any]:  # noqa: N803 (boto3's own name)
        if not self.certificate:
            told = {"Error": {"Code": "ResourceNotFoundException", "Message": f"no certificate {CertificateArn}"}}
            raise ClientError(told, "DescribeCertificate")
        return {"Certificate": self.certificate}


@pytest.mark.parametrize(
    ("certificate", "seen"),
    [
        ({"Status": "ISSUED", "DomainName": "*.acme.io"}, []),
        ({"Status": "ISSUED", "DomainName": "acme.io", "SubjectAlternativeNames": ["shop.acme.io", "cd.acme.io"]}, []),
        ({"Status": "PENDING_VALIDATION", "DomainName": "*.acme.io"}, ["its status is PENDING_VALIDATION"] * 2),
        ({"Status": "ISSUED", "DomainName": "shop.acme.io"}, ["it is of shop.acme.io"]),
        ({"Status": "ISSUED", "DomainName": "*.io"}, ["it is of *.io"] * 2),
        ({}, [f"ResourceNotFoundException: no certificate {CERTIFICATE}"] * 2),
    ],
)
def test_preflight_tells_a_certificate_that_no_browser_would_take(certificate: dict[str, Any], seen: list[str]) -> None:
    def situation(recording: Recording) -> Situation:
        return Situation(
            recording=recording,
            root=root(),
            client=lambda _: Acm(**certificate),
            identity=Identity(account=ACCOUNT, arn="", user_id=""),
            elsewhere=lambda service, region: None,
        )

    found = certificates.given(situation(both()))
    assert [finding.seen for finding in found.findings] == seen
    assert found.count == 2
    assert certificates.given(situation(recorded("prod"))).count == 0
