"""What the sources still have: NodeClaims, events and instances of about an hour, Spot prices of 90 days."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from otel_on_spot.doctor.collectors.aws import instances, pages
from otel_on_spot.doctor.fact import parse_all
from otel_on_spot.doctor.facts_kubernetes import NodeClaim
from otel_on_spot.history.lives import Event, Life, Price, lives, priced
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import EVENT, NODE_CLAIM, POOL_LABEL
from otel_on_spot.target import Target

SELECTORS: Final = (
    f"involvedObject.kind={NODE_CLAIM.kind}",
    "reason=Nominated",
    "reason=Scheduled",
    "reason=Evicted",
)
"""Events that tell of a NodeClaim's life; of a busy cluster's thousands, no others are asked for."""
LINUX: Final = "Linux/UNIX"
TYPES_AT_ONCE: Final = 100


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one look found."""

    now: datetime
    lives: tuple[Life, ...]
    events: tuple[Event, ...]


def look(target: Target, api: Api) -> Seen:
    """Lives of the NodeClaims of a platform, as far as a source still has them.

    Raises:
        failures.UnreachableError: the API server does not answer.
        kubernetes.client.exceptions.ApiException, botocore.exceptions.ClientError: a read is refused.
    """
    api.require()
    declared = target.declared
    with ThreadPoolExecutor(len(SELECTORS) + 2) as pool:
        asked = [pool.submit(_events, api, selector) for selector in SELECTORS]
        claims = pool.submit(lambda: parse_all(NodeClaim, api.list(NODE_CLAIM.path())))
        listed = pool.submit(lambda: instances(target.aws("ec2")))
        events = tuple(dict.fromkeys(event for question in asked for event in question.result()))
        ours = [
            instance
            for instance in listed.result()
            if declared.owned_tag in instance.tags and POOL_LABEL in instance.tags
        ]
        now = datetime.now(UTC)
        return Seen(now=now, lives=lives(claims.result(), ours, events, now), events=events)


def _events(api: Api, selector: str) -> tuple[Event, ...]:
    return parse_all(Event, api.list(EVENT.path(), fieldSelector=selector))


def with_prices(target: Target, found: Sequence[Life]) -> tuple[Life, ...]:
    """The same lives with prices: Spot's from EC2, which keeps them for 90 days, On-Demand's from the catalogue.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html
    """
    from infra.settings.instance_types import catalogue

    types = sorted({life.type for life in found if life.type and life.launched_at})
    listed = {kind.name: kind.usd_per_hour for kind, _ in catalogue() if kind.usd_per_hour}
    return priced(found, list(_spot_prices(target.aws("ec2"), types, found)), listed) if types else tuple(found)


def _spot_prices(ec2: Any, types: Sequence[str], found: Iterable[Life]) -> Iterable[Price]:
    since = min(life.launched_at for life in found if life.launched_at)
    for begin in range(0, len(types), TYPES_AT_ONCE):
        some = list(types[begin : begin + TYPES_AT_ONCE])
        for row in pages(
            ec2,
            "describe_spot_price_history",
            "SpotPriceHistory",
            InstanceTypes=some,
            ProductDescriptions=[LINUX],
            StartTime=since,
        ):
            yield Price(
                type=row["InstanceType"],
                zone=row["AvailabilityZone"],
                since=row["Timestamp"],
                usd=float(row["SpotPrice"]),
            )


def of_pools(target: Target) -> tuple[str, ...]:
    """Open pools of On-Demand, to which pods fall back where a pool of Spot is declared."""
    pools = target.declared.pools
    if not any("spot" in pool.capacity_types for pool in pools.values()):
        return ()
    return tuple(name for name, pool in pools.items() if "on-demand" in pool.capacity_types and not pool.tainted)
