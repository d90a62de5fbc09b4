"""A company's VPC in an account with rules: lived in as the roles of the bootstrap, and left as it was."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from access.deployer import deployer
from access.reader import reader
from access.scope import Scope
from otel_on_spot.plan.record import record
from otel_on_spot.preflight import run
from otel_on_spot.preflight.situation import Situation
from otel_on_spot.program.runner import ProgramError
from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.authorization import judged
from otel_on_spot.simcloud.aws.eks_nodes import cut_off
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Site
from tests.simcloud.conftest import scope_of, situation_of, trust
from tests.unit.conftest import recorded
from tests.unit.settings.test_settings import committed

REGION, CLUSTER = "eu-west-1", "otel-dev"
ZONES = [f"{REGION}a", f"{REGION}b"]
INTERNAL, PUBLIC = "kubernetes.io/role/internal-elb", "kubernetes.io/role/elb"
CHECK = {check.id: check for check in run.CHECKS}


@dataclass
class Company:
    """A network team's VPC: in each zone a private and a public subnet, a NAT gateway, and nothing of a stack's."""

    ec2: Any
    vpc: str = ""
    private: list[str] = field(default_factory=list)
    public: list[str] = field(default_factory=list)
    private_table: str = ""

    def build(self) -> "Company":
        self.vpc = self.ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
        self.ec2.modify_vpc_attribute(VpcId=self.vpc, EnableDnsHostnames={"Value": True})
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.private = [self.subnet(zone, f"10.50.{16 * place}.0/20", INTERNAL) for place, zone in enumerate(ZONES)]
        self.public = [self.subnet(zone, f"10.50.{240 + place}.0/24", PUBLIC) for place, zone in enumerate(ZONES)]
        address = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = self.ec2.create_nat_gateway(SubnetId=self.public[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
        self.private_table = self.table(self.private, NatGatewayId=nat)
        self.table(self.public, GatewayId=gateway)
        return self

    def subnet(self, zone: str, cidr: str, role: str) -> str:
        tags = [{"Key": role, "Value": "1"}, {"Key": "tier", "Value": role.rpartition("/")[2]}]
        made = self.ec2.create_subnet(
            VpcId=self.vpc,
            CidrBlock=cidr,
            AvailabilityZone=zone,
            TagSpecifications=[{"ResourceType": "subnet", "Tags": tags}],
        )
        return str(made["Subnet"]["SubnetId"])

    def table(self, subnets: list[str], **target: str) -> str:
        table = str(self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"])
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)
        for subnet in subnets:
            self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        return table

    def look(self) -> dict[str, Any]:
        """Everything of it that somebody could have changed."""
        here = [{"Name": "vpc-id", "Values": [self.vpc]}]
        return {
            "vpc": self.ec2.describe_vpcs(VpcIds=[self.vpc])["Vpcs"],
            "subnets": self.ec2.describe_subnets(Filters=here)["Subnets"],
            "tables": self.ec2.describe_route_tables(Filters=here)["RouteTables"],
            "groups": self.ec2.describe_security_groups(Filters=here)["SecurityGroups"],
            "endpoints": self.ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"],
            "flow logs": self.ec2.describe_flow_logs()["FlowLogs"],
            "addresses": self.ec2.describe_addresses()["Addresses"],
        }

    def network(self, **changes: Any) -> dict[str, Any]:
        told = {"vpcId": self.vpc, "privateSubnetIds": self.private, "publicSubnetIds": self.public}
        return {"zones": ZONES, "existing": told | changes, "proxy": {"url": "http://proxy.acme.io:3128"}}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(tmp_path_factory.mktemp("company"), patience=20, forgetful=True) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def company(account: Cloud) -> Company:
    return Company(account.client("ec2", REGION)).build()


def scope(vpc: str | None) -> Scope:
    return scope_of("dev", CLUSTER, REGION, vpc)


def roles(cloud: Cloud, vpc: str | None) -> None:
    """The roles of a bootstrap whose stack says the VPC, or does not; without its state and its trust."""
    iam = cloud.client("iam", REGION)
    policies = {"up": deployer(scope(vpc)), "preview": {"read": reader(scope(vpc))}}
    for role, parts in policies.items():
        if role not in {each["RoleName"] for each in iam.list_roles()["Roles"]}:
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
        for part, told in parts.items():
            iam.put_role_policy(RoleName=role, PolicyName=part, PolicyDocument=json.dumps(told))


def settings(company: Company, **changes: Any) -> dict[str, Any]:
    return {"network": company.network(**changes), "iam": {"permissionsBoundary": scope(None).boundary}}


def test_a_life_in_it_as_the_bootstraps_roles_leaves_it_as_it_was(account: Cloud, company: Company) -> None:
    before = company.look()
    roles(account, company.vpc)
    views = committed("dev")["cluster"] | {"adminViewRoleArns": ["arn:aws:iam::123456789012:role/preview"]}
    given = settings(company) | {"cluster": views}
    with judged(account, "up") as written:
        made = graph.apply("dev", account, config_overrides=given)
    with judged(account, "preview") as read:
        graph.apply("dev", account, config_overrides=given, previous=made)
    ours = [group["GroupName"] for group in company.look()["groups"]]
    with judged(account, "up") as destroyed:
        graph.destroy(made, account, unprotected=True)

    assert [calls.summary() for calls in (written, read, destroyed) if calls.denied] == []
    assert any(name.startswith("cluster-api-access") for name in ours)
    named = {
        resource.arn.rpartition("/")[2]
        for calls in (written, destroyed)
        for call in calls.calls
        for resource in call.request.resources
        if not call.request.action.startswith(("ec2:Describe", "ec2:RunInstances", "ec2:CreateSecurityGroup"))
    }
    assert not named & {company.vpc, *company.private, *company.public, company.private_table}
    assert company.look() == before


@pytest.mark.parametrize("given", [None, "vpc-0f0e0d0c1a2b3c4d5"])
def test_the_role_of_a_bootstrap_without_it_or_with_another_may_not(
    account: Cloud, company: Company, planned: Situation, given: str | None
) -> None:
    roles(account, given)
    found = run.run_check(replace(planned, role="up"), CHECK["permissions"])
    seen = "\n".join(f"{finding.subject} {finding.seen}" for finding in found.findings)

    looking = set() if given else {"ec2:DescribeDhcpOptions"}
    assert {finding.subject for finding in found.findings} == {
        "ec2:CreateSecurityGroup",
        "ec2:RunInstances",
        *looking,
    }, seen
    roles(account, company.vpc)
    assert run.run_check(replace(planned, role="up"), CHECK["permissions"]).findings == ()


def test_the_preview_and_preflight_say_at_once_what_it_lacks(account: Cloud, company: Company) -> None:
    full = [company.subnet(zone, f"10.50.{224 + place}.0/25", "none/of/it") for place, zone in enumerate(ZONES)]
    company.ec2.modify_vpc_attribute(VpcId=company.vpc, EnableDnsSupport={"Value": False})
    overrides = settings(company, privateSubnetIds=full, publicSubnetIds=["subnet-00000000", company.private[0]])
    try:
        with pytest.raises(ProgramError) as refused:
            graph.apply("dev", account, config_overrides=overrides)
        found = run.run_check(situation_of(account, record("dev", config_overrides=overrides)), CHECK["existing-vpc"])
    finally:
        company.ec2.modify_vpc_attribute(VpcId=company.vpc, EnableDnsSupport={"Value": True})
        for subnet in full:
            company.ec2.delete_subnet(SubnetId=subnet)

    for words in (
        "without DNS support",
        f"123 addresses free in {ZONES[0]} ({full[0]} 123)",
        f"123 addresses free in {ZONES[1]}",
        "a whole /24",
        f"{', '.join(full)}, without a route to 0.0.0.0/0",
        f"--resources {' '.join(full)} --tags Key={INTERNAL},Value=1 --region {REGION}",
        "given: subnet-00000000\n",
        f"{company.private[0]}, whose 0.0.0.0/0 leads not to an Internet gateway",
    ):
        assert words in str(refused.value)
    assert [finding.seen for finding in found.findings] == [
        line.removeprefix("    given: ") for line in str(refused.value).splitlines() if line.startswith("    given: ")
    ]


def test_subnets_are_found_by_their_tags_and_the_main_table_and_endpoints_count(
    account: Cloud, company: Company
) -> None:
    by_tags = {"vpcId": company.vpc, "privateSubnetTags": {"tier": "internal-elb"}}
    overrides = settings(company) | {"network": {"zones": ZONES, "existing": by_tags}}
    fit = run.run_check(situation_of(account, record("dev", config_overrides=overrides)), CHECK["existing-vpc"])
    assert (fit.status, fit.findings) == ("ok", ())
    assert "4091 addresses free in eu-west-1a" in fit.what

    # Without its association a subnet has the VPC's main table, which leads nowhere.
    (table,) = company.ec2.describe_route_tables(RouteTableIds=[company.private_table])["RouteTables"]
    (taken,) = [each for each in table["Associations"] if each.get("SubnetId") == company.private[0]]
    company.ec2.disassociate_route_table(AssociationId=taken["RouteTableAssociationId"])
    try:
        with pytest.raises(ProgramError, match=f"{company.private[0]}, without a route"):
            graph.apply("dev", account, config_overrides=overrides)
    finally:
        company.ec2.associate_route_table(RouteTableId=company.private_table, SubnetId=company.private[0])


@pytest.fixture(scope="module")
def planned(account: Cloud, company: Company) -> Situation:
    """The plan of dev in the company's VPC, and the account."""
    return situation_of(account, record("dev", config_overrides=settings(company)))


@pytest.fixture
def acl(company: Company) -> Iterator[str]:
    """A network ACL without a rule, of the first private subnet while the test runs."""
    here = [{"Name": "association.subnet-id", "Values": company.private[:1]}]
    (before,) = company.ec2.describe_network_acls(Filters=here)["NetworkAcls"]
    made = company.ec2.create_network_acl(VpcId=company.vpc)["NetworkAcl"]["NetworkAclId"]

    def associate(target: str) -> None:
        (now,) = company.ec2.describe_network_acls(Filters=here)["NetworkAcls"]
        (taken,) = [each for each in now["Associations"] if each["SubnetId"] == company.private[0]]
        company.ec2.replace_network_acl_association(AssociationId=taken["NetworkAclAssociationId"], NetworkAclId=target)

    associate(made)
    yield made
    associate(before["NetworkAclId"])
    company.ec2.delete_network_acl(NetworkAclId=made)


def test_an_acl_that_stops_nodes_is_told_by_preflight_and_keeps_them_away(
    account: Cloud, company: Company, planned: Situation, acl: str
) -> None:
    def rule(number: int, action: str, egress: bool, ports: tuple[int, int] | None = None) -> None:
        company.ec2.create_network_acl_entry(
            NetworkAclId=acl,
            RuleNumber=number,
            RuleAction=action,
            Egress=egress,
            CidrBlock="0.0.0.0/0",
            Protocol="6" if ports else "-1",
            **({"PortRange": {"From": ports[0], "To": ports[1]}} if ports else {}),
        )

    site = Site(account, region=REGION)
    (nothing,) = run.run_check(planned, CHECK["existing-vpc"]).findings
    assert f"the network ACL {acl} of {company.private[0]} stops TCP 53 out to 10.50.16.0/20" in nothing.seen
    assert f"--network-acl-ids {acl} --region {REGION}" in nothing.remedy[0]
    assert f"{acl} of {company.private[0]} stops TCP 53" in cut_off(site, company.private)
    rule(100, "allow", True)
    rule(100, "allow", False)
    assert run.run_check(planned, CHECK["existing-vpc"]).findings == ()
    assert cut_off(site, company.private) == ""
    rule(90, "deny", False, (40000, 40010))
    (answers,) = run.run_check(planned, CHECK["existing-vpc"]).findings
    assert "TCP 1024-65535 in from 10.50.16.0/20, TCP 32768-60999 in from 0.0.0.0/0" in answers.seen
    assert " out to " not in answers.seen


def test_name_servers_without_the_vpcs_own_are_refused_told_and_keep_nodes_away(
    account: Cloud, company: Company, planned: Situation
) -> None:
    own = company.ec2.describe_vpcs(VpcIds=[company.vpc])["Vpcs"][0]["DhcpOptionsId"]
    servers = [{"Key": "domain-name-servers", "Values": ["10.9.0.2"]}]
    theirs = company.ec2.create_dhcp_options(DhcpConfigurations=servers)["DhcpOptions"]["DhcpOptionsId"]
    site = Site(account, region=REGION)
    assert cut_off(site, company.private) == ""
    company.ec2.associate_dhcp_options(DhcpOptionsId=theirs, VpcId=company.vpc)
    try:
        with pytest.raises(ProgramError, match=r"whose name servers are 10\.9\.0\.2\n"):
            graph.apply("dev", account, config_overrides=settings(company))
        (told,) = run.run_check(planned, CHECK["existing-vpc"]).findings
        assert "no name at the VPC's name servers: 10.9.0.2" in cut_off(site, company.private)
    finally:
        company.ec2.associate_dhcp_options(DhcpOptionsId=own, VpcId=company.vpc)
    assert "whose name servers are 10.9.0.2" in told.seen


def test_a_vpc_that_is_not_there_is_one_line(account: Cloud, company: Company) -> None:
    gone = replace(company, vpc="vpc-00000000")
    with pytest.raises(ProgramError, match=r"network\.existing\.vpcId\n.*vpc-00000000\n.*in eu-west-1"):
        graph.apply("dev", account, config_overrides=settings(gone))


def test_a_stack_of_its_own_is_not_looked_at(account: Cloud) -> None:
    assert "existing" not in committed("dev")["network"]
    found = run.run_check(situation_of(account, recorded("dev")), CHECK["existing-vpc"])
    assert (found.status, found.count) == ("ok", 0)
