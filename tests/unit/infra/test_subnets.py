"""Subnets lie inside the VPC, apart from each other, and stay where they are when a zone is added."""

from ipaddress import IPv4Network
from itertools import combinations

from hypothesis import assume, given
from hypothesis import strategies as st

from infra.subnets import SubnetLayout

layouts = st.builds(
    SubnetLayout,
    vpc=st.integers(16, 22).flatmap(
        lambda prefix: st.integers(0, 2 ** (prefix - 8) - 1).map(
            lambda n: IPv4Network(((10 << 24) + (n << (32 - prefix)), prefix))
        )
    ),
    zone_count=st.integers(1, 4),
    private_prefix=st.integers(16, 27),
    public_prefix=st.integers(16, 28),
)


def subnets(layout: SubnetLayout) -> list[IPv4Network]:
    return [subnet(zone) for zone in range(layout.zone_count) for subnet in (layout.private, layout.public)]


@given(layouts)
def test_a_layout_without_problems_is_apart_and_inside(layout: SubnetLayout) -> None:
    assume(not layout.problems())
    found = subnets(layout)

    assert all(subnet.subnet_of(layout.vpc) for subnet in found)
    assert not any(one.overlaps(other) for one, other in combinations(found, 2))


@given(layouts)
def test_a_layout_that_cannot_fit_is_told(layout: SubnetLayout) -> None:
    needed = layout.zone_count * (2 ** (32 - layout.private_prefix) + 2 ** (32 - layout.public_prefix))

    assert not (needed > layout.vpc.num_addresses and not layout.problems())


@given(layouts)
def test_adding_a_zone_moves_no_subnet(layout: SubnetLayout) -> None:
    grown = SubnetLayout(layout.vpc, layout.zone_count + 1, layout.private_prefix, layout.public_prefix)
    assume(not grown.problems())

    assert subnets(grown)[: len(subnets(layout))] == subnets(layout)


def test_the_default_layout_of_a_sixteen_has_room_for_four_zones() -> None:
    assert SubnetLayout(IPv4Network("10.10.0.0/16"), 4, 20, 24).problems() == []
