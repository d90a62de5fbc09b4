"""What a network ACL lets through: the first rule that is about a packet decides, and nothing answers by itself."""

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_on_spot.simcloud.aws.network_acls import blocked, stopped

PEER = IPv4Network("10.50.16.0/20")


def rule(number: int, action: str, cidr: str = "0.0.0.0/0", ports: tuple[int, int] | None = None, **more: Any) -> Any:
    told = {"RuleNumber": number, "RuleAction": action, "CidrBlock": cidr, "Egress": True, "Protocol": "-1"}
    return (
        told | ({"Protocol": "6", "PortRange": dict(zip(("From", "To"), ports, strict=True))} if ports else {}) | more
    )


ALL = rule(100, "allow")
LAST = rule(32767, "deny")


@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        ([ALL, LAST], True),
        ([], False),
        ([LAST], False),
        ([rule(50, "deny", ports=(443, 443)), ALL], False),
        ([ALL, rule(150, "deny", ports=(443, 443))], True),
        ([rule(150, "deny", ports=(443, 443)), ALL], True),
        ([rule(50, "deny", ports=(444, 500)), ALL], True),
        ([rule(50, "deny", Protocol="17", PortRange={"From": 443, "To": 443}), ALL], True),
        ([rule(50, "deny", Egress=False), ALL], True),
        ([rule(100, "allow", Egress=False)], False),
        ([rule(100, "allow", "10.50.0.0/16")], True),
        ([rule(100, "allow", "10.50.16.0/21")], False),
        ([rule(100, "allow", "10.50.16.0/21"), rule(110, "allow", "10.50.24.0/21")], True),
        ([rule(50, "deny", "10.50.20.7/32"), ALL], False),
        ([rule(50, "deny", "10.51.0.0/16"), ALL], True),
        ([rule(100, "allow", ports=(443, 443))], True),
        ([rule(100, "allow", ports=(0, 442)), rule(110, "allow", ports=(444, 65535))], False),
        (
            [{"RuleNumber": 90, "RuleAction": "deny", "Ipv6CidrBlock": "::/0", "Egress": True, "Protocol": "-1"}, ALL],
            True,
        ),
    ],
)
def test_the_first_rule_about_a_packet_decides(rules: list[Any], passes: bool) -> None:
    assert (blocked(rules, "6", (443, 443), PEER, egress=True) == []) is passes


PREFIXES = st.builds(
    lambda base, length: str(IPv4Network((base, length), strict=False)),
    st.integers(int(IPv4Address("10.50.16.0")), int(IPv4Address("10.50.31.255"))),
    st.integers(18, 32),
)
RULES = st.lists(
    st.builds(
        lambda number, action, cidr, ports: rule(number, action, cidr, (min(ports), max(ports))),
        st.integers(1, 50),
        st.sampled_from(["allow", "deny"]),
        PREFIXES,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
    ),
    max_size=6,
    unique_by=lambda each: each["RuleNumber"],
)


@given(RULES, st.integers(int(PEER.network_address), int(PEER.broadcast_address)), st.integers(1, 9))
def test_what_is_told_of_a_network_is_true_of_each_packet(rules: list[Any], address: int, port: int) -> None:
    packet = IPv4Address(address)
    about = (
        each
        for each in sorted(rules, key=lambda each: each["RuleNumber"])
        if packet in IPv4Network(each["CidrBlock"]) and each["PortRange"]["From"] <= port <= each["PortRange"]["To"]
    )
    passes = next((each["RuleAction"] for each in about), "deny") == "allow"
    parts = blocked(rules, "6", (port, port), PEER, egress=True)
    assert any(packet in part for part in parts) is not passes


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([ALL, rule(100, "allow", Egress=False)], []),
        ([ALL], ["TCP 32768-60999 in from 0.0.0.0/0"]),
        ([rule(100, "allow", Egress=False)], ["TCP 443 out to 0.0.0.0/0"]),
        ([rule(50, "deny", "198.51.100.0/24"), ALL, rule(100, "allow", Egress=False)], []),
        (
            [rule(90, "allow", "10.0.0.0/8"), rule(90, "allow", "10.0.0.0/8", Egress=False)],
            ["TCP 443 out to 0.0.0.0/0", "TCP 32768-60999 in from 0.0.0.0/0"],
        ),
        (
            [rule(100, "allow", ports=(443, 443)), rule(100, "allow", ports=(32768, 60999), Egress=False)],
            [],
        ),
    ],
)
def test_the_internet_is_stopped_where_most_of_it_is(entries: list[Any], told: list[str]) -> None:
    assert list(stopped(entries, [], outside=True)) == told
    assert list(stopped(entries, [], outside=False)) == []


def test_between_subnets_names_the_api_and_all_ports_of_pods_are_asked_for_each_way() -> None:
    both = [ALL, rule(100, "allow", Egress=False)]
    assert list(stopped(both, [PEER], outside=True)) == []
    assert len(list(stopped([], [PEER], outside=False))) == 10
    lacking = [*both, rule(50, "deny", Protocol="17", PortRange={"From": 53, "To": 53}, Egress=False)]
    assert list(stopped(lacking, [PEER], outside=True)) == [f"UDP 53 in from {PEER}"]
