"""A company's VPC by the real engine: lived in, nothing to do afterwards, kept by the cluster, left as it was."""

from pathlib import Path

from tests.engine.workbench import REGION, workbench
from tests.simcloud.test_existing_vpc import ZONES, Company


def test_a_life_in_it_changes_nothing_of_it_and_the_cluster_stays_there(folder: Path) -> None:
    with workbench(folder, "dev", stand_in=True) as bench:
        company = Company(bench.cloud.client("ec2", REGION)).build()
        before = company.look()
        with bench.settings({"network": company.network()}) as file:
            bench.up("--config-file", str(file))
            bench.run("preview", "--expect-no-changes", "--non-interactive", "--config-file", str(file))
        made = {resource["type"] for resource in bench.state()["resources"]}
        assert "otel-on-spot:index:ExistingNetwork" in made
        assert not {"aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/natGateway:NatGateway"} & made

        own = {"network": {"zones": ZONES, "cidr": "10.10.0.0/16"}}
        for changed in (own, {"network": company.network(vpcId="vpc-0f0e0d0c1a2b3c4d5")}):
            code, told = bench.attempt_with(changed, "preview")
            assert code != 0
            assert f"the cluster lives in {company.vpc}, and keeps it" in told

        with bench.settings({"network": company.network()}) as file:
            bench.run("destroy", "--yes", "--non-interactive", "--config-file", str(file))
        assert company.look() == before
