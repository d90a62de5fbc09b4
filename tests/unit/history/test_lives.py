"""Lives of NodeClaims out of seeded facts: each source, what is kept, prices, savings and incidents."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from otel_on_spot import target
from otel_on_spot.cli.main import app
from otel_on_spot.declared import from_recording
from otel_on_spot.doctor.fact import parse
from otel_on_spot.doctor.facts_aws import Instance
from otel_on_spot.doctor.facts_kubernetes import NodeClaim
from otel_on_spot.history import pages, records, sources
from otel_on_spot.history.lives import Event, Life, Price, incidents, lives, merged, priced, savings, shares
from otel_on_spot.project import root
from tests.unit.conftest import recorded
from tests.unit.doctor.changes import HEALTHY

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
NODE = "ip-10-0-0-1.eu-west-1.compute.internal"


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def event(minutes: float, reason: str, name: str = "spot-a", *, kind: str = "NodeClaim", message: str = "") -> Event:
    about = {"kind": kind, "name": name, "namespace": "" if kind == "NodeClaim" else "demo"}
    told = {"involvedObject": about, "reason": reason, "message": message, "firstTimestamp": at(minutes).isoformat()}
    return parse(Event, told)


def pod(minutes: float, reason: str, name: str, message: str = "") -> Event:
    return event(minutes, reason, name, kind="Pod", message=message)


def instance(name: str = "spot-a", ended: float | None = None, reason: str = "", **values: Any) -> Instance:
    state = "running" if ended is None else "terminated"
    given: dict[str, Any] = {
        "type": "m5.large",
        "zone": "eu-west-1a",
        "private_dns": NODE,
        "spot": True,
        "launched_at": at(0),
        **values,
    }
    tags = {"karpenter.sh/nodeclaim": name, "karpenter.sh/nodepool": name.rpartition("-")[0]}
    changed = None if ended is None else at(ended)
    return Instance(id=f"i-{name}", state=state, changed_at=changed, reason_code=reason, tags=tags, **given)


def claim(name: str = "spot-a", deleted: float | None = None) -> NodeClaim:
    status = {"nodeName": NODE, "providerID": f"aws:///eu-west-1a/i-{name}"}
    labels = {
        "karpenter.sh/nodepool": "spot",
        "karpenter.sh/capacity-type": "spot",
        "node.kubernetes.io/instance-type": "m5.large",
        "topology.kubernetes.io/zone": "eu-west-1a",
    }
    metadata = {"name": name, "labels": labels, "creationTimestamp": at(-1).isoformat()}
    if deleted is not None:
        metadata["deletionTimestamp"] = at(deleted).isoformat()
    return parse(NodeClaim, {"metadata": metadata, "status": status})


INTERRUPTED = (
    event(0, "Launched"),
    event(1, "Ready"),
    pod(-0.5, "Nominated", "cart-1", "Pod should schedule on: nodeclaim/spot-a"),
    pod(-0.5, "Nominated", "ad-1", "Pod should schedule on: nodeclaim/spot-a, node/x"),
    pod(1, "Scheduled", "cart-1", f"Successfully assigned demo/cart-1 to {NODE}"),
    pod(1, "Scheduled", "ad-1", f"Successfully assigned demo/ad-1 to {NODE}"),
    pod(1, "Scheduled", "stays-1", f"Successfully assigned demo/stays-1 to {NODE}"),
    event(30, "SpotInterrupted"),
    event(30.1, "InstanceTerminating"),
    pod(30.2, "Evicted", "cart-1", "Evicted pod: Spot interruption"),
    pod(30.2, "Evicted", "ad-1"),
)
"""A node that Spot took back after half an hour."""


def only(*found: Life) -> Life:
    (life,) = found
    return life


def test_an_interrupted_node_has_its_whole_life() -> None:
    life = only(*lives([], [instance(ended=31.5)], INTERRUPTED, at(40)))
    assert (life.claim, life.pool, life.type, life.zone, life.capacity_type) == (
        "spot-a",
        "spot",
        "m5.large",
        "eu-west-1a",
        "spot",
    )
    assert life.began == "for demo/cart-1 and 1 more"
    assert (life.launched_at, life.ready_at, life.ended_at) == (at(0), at(1), at(31.5))
    assert life.why_ended == "Spot interruption"
    assert life.warning_used == timedelta(seconds=90)
    assert life.pods_moved == 2
    assert pages.life_lines(life)[-1] == (
        "  ended  11-26 12:31:30 after 31 min: Spot interruption; 90 s of the warning used; 2 pods moved"
    )


def test_a_living_node_has_no_end() -> None:
    life = only(*lives([claim()], [instance()], INTERRUPTED[:5], at(10)))
    assert (life.why_ended, life.ended_at, life.lived) == ("", None, timedelta(minutes=10))
    assert pages.life_lines(life)[-1] == "  lives  for 10 min"


def test_a_node_without_any_event_is_told_by_its_instance_alone() -> None:
    life = only(*lives([], [instance(ended=20)], (), at(30)))
    assert (life.began, life.why_ended, life.warned_at, life.pods_moved) == ("", "ended", None, 0)


DISRUPTED = event(5, "DisruptionTerminating", message="Disrupting NodeClaim: Underutilized")


@pytest.mark.parametrize(
    ("told", "reason", "why"),
    [
        ((DISRUPTED,), "", "disrupted: Underutilized"),
        ((), "Server.SpotInstanceTermination", "taken back by EC2, and Karpenter heard nothing"),
        ((event(5, "InstanceStopping"),), "", "ended by somebody, or by Karpenter"),
    ],
)
def test_why_a_node_ended(told: tuple[Event, ...], reason: str, why: str) -> None:
    assert only(*lives([], [instance(ended=6, reason=reason)], told, at(9))).why_ended == why


def test_a_launch_that_ec2_refused_never_lived() -> None:
    told = event(3, "InsufficientCapacityError", "spot-b", message="... UnfulfillableCapacity: Unable to fulfill")
    life = only(*lives([], [], (told,), at(9)))
    assert (life.launched_at, life.ended_at, life.why_ended) == (None, at(3), "refused by EC2: UnfulfillableCapacity")


def test_a_replacement_says_what_for() -> None:
    told = event(0, "DisruptionLaunching", message="Launching NodeClaim: Drifted")
    assert only(*lives([claim()], [], (told,), at(9))).began == "in place of another: Drifted"


def test_evictions_of_an_earlier_node_of_that_name_are_not_counted() -> None:
    later = instance("spot-b", launched_at=at(35))
    found = {life.claim: life.pods_moved for life in lives([], [instance(ended=31.5), later], INTERRUPTED, at(40))}
    assert found == {"spot-a": 2, "spot-b": 0}


def test_what_sources_forget_stays_in_the_record() -> None:
    first = lives([], [instance(ended=31.5)], INTERRUPTED, at(40))
    without_events = lives([], [instance(ended=31.5)], (), at(80))
    assert only(*merged(first, without_events)) == replace(only(*first), seen_at=at(80))
    assert merged(first, ()) == first


def test_a_node_that_went_between_two_looks_ends_where_it_was_last_seen() -> None:
    alive = lives([claim()], [instance()], (), at(10))
    life = only(*merged(alive, ()))
    assert (life.ended_at, life.why_ended) == (at(10), "gone between two looks")


def test_a_node_that_was_going_gets_its_end() -> None:
    going = lives([claim(deleted=30)], [instance()], INTERRUPTED, at(31))
    assert only(*going).why_ended == "Spot interruption"
    ended = only(*merged(going, lives([], [instance(ended=31.5)], (), at(40))))
    assert (ended.why_ended, ended.ended_at, ended.warned_at) == ("Spot interruption", at(31.5), at(30))


def costing(name: str, kind: str, minutes: float, spot: float = 0.04) -> Life:
    return Life(
        claim=name,
        pool=name.rpartition("-")[0],
        capacity_type=kind,
        type="m5.large",
        zone="eu-west-1a",
        launched_at=at(0),
        ended_at=at(minutes),
        spot_usd=spot,
        on_demand_usd=0.1,
        seen_at=at(minutes),
    )


def test_savings_by_pool_less_the_hours_of_fall_back() -> None:
    found = [costing("spot-a", "spot", 60), costing("spot-b", "spot", 120), costing("on-demand-a", "on-demand", 60)]
    found.append(costing("data-a", "on-demand", 60))
    told = {one.pool: one for one in savings(found, ("on-demand",))}
    assert {name: round(one.saved, 6) for name, one in told.items()} == {"spot": 0.18, "on-demand": -0.06, "data": 0.0}
    assert (told["spot"].nodes, told["spot"].hours, told["on-demand"].fallback) == (2, 3.0, True)
    lines = pages.saving_lines(savings(found, ("on-demand",)))
    assert lines[-1] == "saved by Spot, less fall-back: 0.1200 USD"
    assert any("0.0600 more than Spot's price" in line for line in lines)


def test_what_is_saved_is_shared_by_requests_of_cpu_and_memory_alike() -> None:
    told = shares(0.12, {"ad": (100, 100), "frontend": (300, 500), "cart": (0, 240)})
    exact = {"frontend": 0.080714, "ad": 0.022143, "cart": 0.017143}
    assert {name: round(usd, 6) for name, usd in told.items()} == exact
    assert [*told] == ["frontend", "ad", "cart"]
    assert sum(told.values()) == pytest.approx(0.12)
    (line,) = pages.share_lines(told)
    assert line.endswith("Spot: frontend 0.0807 (67%), ad 0.0221 (18%), cart 0.0171 (14%)")
    (line,) = pages.share_lines(shares(-1.0, {f"w{number}": (1, 1) for number in range(10)}))
    assert line.endswith("w7 -0.1000 (10%), 2 more")
    assert pages.share_lines(shares(0.0, {"ad": (1, 1)})) == pages.share_lines(shares(1.0, {})) == []


def test_the_workloads_that_share_are_those_that_nothing_keeps_off_spot() -> None:
    requests = from_recording(recorded("prod"), root=root()).spot_requests
    assert {"frontend", "checkout", "ad"} <= {*requests}
    assert not {"kafka", "postgresql", "opensearch", "prometheus", "valkey-cart"} & {*requests}
    assert all(cpu > 0 and memory > 0 for cpu, memory in requests.values())


@pytest.mark.parametrize(
    ("steps", "mean"),
    [
        ([(0, 0.04)], 0.04),
        ([(-30, 0.02), (0, 0.04), (30, 0.06)], 0.05),
        ([(-30, 0.02), (-10, 0.04)], 0.04),
        ([(90, 0.08)], 0.08),
    ],
)
def test_spots_price_is_the_mean_over_a_life(steps: list[tuple[float, float]], mean: float) -> None:
    prices = [Price(type="m5.large", zone="eu-west-1a", since=at(minutes), usd=usd) for minutes, usd in steps]
    other = Price(type="m5.large", zone="eu-west-1b", since=at(0), usd=9.0)
    life = only(*priced([costing("spot-a", "spot", 60)], [*prices, other], {"m5.large": 0.1}))
    assert life.spot_usd == pytest.approx(mean)


def test_what_comes_together_is_one_incident_with_what_came_in_its_place() -> None:
    found = lives(
        [],
        [
            instance("spot-a", ended=31.5),
            instance("spot-b", ended=32),
            instance("spot-c", ended=90),
            instance("on-demand-a", launched_at=at(31), spot=False),
        ],
        (
            *INTERRUPTED,
            event(31, "SpotInterrupted", "spot-b"),
            event(88, "SpotInterrupted", "spot-c"),
            event(31, "InsufficientCapacityError", "spot-d", message="InsufficientInstanceCapacity"),
        ),
        at(95),
    )
    first, second = incidents(found)
    assert first.title == "2 Spot nodes taken back, 1 launch refused"
    assert [life.claim for life in first.in_place] == ["on-demand-a"]
    assert (first.began, first.ended) == (at(30), at(32))
    assert second.title == "1 Spot node taken back"
    assert (pages.name_of(first), pages.name_of(second)) == (
        "incident-20261126T123000Z.md",
        "incident-20261126T132800Z.md",
    )
    text = pages.page(first, INTERRUPTED, "Stack lab", "lab")
    assert "| `spot-a` | m5.large | eu-west-1a | spot | 11-26 12:00:00 | 12:30:00 |" in text
    assert "90 s of the warning used | 2 |" in text
    assert "| 12:30:00 | SpotInterrupted | `spot-a` |" in text
    assert "refused by EC2: InsufficientInstanceCapacity" in text


def test_a_node_that_ended_without_a_warning_is_told_on_the_page() -> None:
    found = lives([], [instance(ended=31.5, reason="Server.SpotInstanceTermination")], (), at(40))
    (one,) = incidents(found)
    assert "1 node went without a warning that Karpenter heard" in pages.page(one, (), "Stack lab", "lab")


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform of which the sources know one interrupted node."""
    seen = sources.Seen(now=at(40), lives=lives([], [instance(ended=31.5)], INTERRUPTED, at(40)), events=INTERRUPTED)
    found = SimpleNamespace(cluster_api=object(), declared=HEALTHY.declared, why_no_cluster="")
    monkeypatch.setattr(target, "find", lambda *_, **__: found)
    monkeypatch.setattr(sources, "look", lambda *_: seen)
    prices = [Price(type="m5.large", zone="eu-west-1a", since=at(0), usd=0.04)]
    monkeypatch.setattr(sources, "with_prices", lambda _, kept: priced(kept, prices, {"m5.large": 0.1}))


@pytest.mark.usefixtures("platform")
def test_the_command_prints_keeps_and_writes_a_page(tmp_path: Path) -> None:
    record, folder = tmp_path / "history.json", tmp_path / "incidents"
    options = ["--stack", "lab", "--record", str(record), "--incident", str(folder)]
    for _ in range(2):
        ran = CliRunner().invoke(app, ["history", *options])
        assert ran.exit_code == 0, ran.output
    assert "spot-a  m5.large eu-west-1a spot 0.0400 USD/h" in ran.output
    assert "on Spot: 0.0315 less than On-Demand (60%)" in ran.output
    assert "1 page of incidents" in ran.output
    assert [file.name for file in folder.iterdir()] == ["incident-20261126T123000Z.md"]
    assert len(records.load(record)) == 1, "the same life twice is one"
    told = json.loads(CliRunner().invoke(app, ["history", "--stack", "lab", "--json", "-"]).output)
    assert told["lives"][0]["why_ended"] == "Spot interruption"
    assert set(told) == {"lives", "savings", "incidents", "workloads"}


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize(
    "content",
    [
        "", "null", "{}", '{"a": 1}', "[1]", "[[]]", "[{}]", '[{"claim": "a", "seen_at": "soon"}]',
        '[{"claim": "a", "seen_at": "2026-01-01T00:00:00"}]',
        *(
            f'[{{"claim": "a", "seen_at": "2026-01-01T00:00:00Z", {other}}}]'
            for other in ('"ended_at": "2026-01-01T00:00:00"', '"spot_usd": "NaN"', '"pods_moved": -5', '"pool": 5')
        ),
    ],
)  # fmt: skip
def test_a_record_of_something_else_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(content)
    ran = CliRunner().invoke(app, ["history", "--stack", "lab", "--record", str(file)])
    assert ran.exit_code == 2
    assert "Name a file that history --record wrote" in ran.output
    assert file.read_text() == content


def test_without_a_cluster_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(cluster_api=None, why_no_cluster="no kubeconfig")
    monkeypatch.setattr(target, "find", lambda *_, **__: found)
    ran = CliRunner().invoke(app, ["history", "--stack", "lab"])
    assert (ran.exit_code, "history needs the cluster: no kubeconfig" in ran.output) == (2, True)
