"""A bad commit, and how long the commit that mends it waits: for the root on a branch, and for a child at its commit.

What Argo CD shows of a sync that failed and waits for its next try: phase Running, an end, and a count of tries.
Source: processRequestedAppOperation of https://github.com/argoproj/argo-cd/blob/v3.5.3/controller/appcontroller.go
"""

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import durationpy
import pytest
import yaml

from tests.lab.running import ROOT, Lab, until

APPS, POLICIES = "gitops/apps/templates/applications.yaml", "gitops/charts/otel-demo/templates/network-policies.yaml"
CHILD, NAMESPACE, PLATFORM, MENDED = "otel-demo", "otel-demo", "platform", "mended"
SYNC_SECONDS = 300
"""Within which a healthy sync of root or child has ended on a loaded machine."""
COMMITS = count(1)


def pauses() -> list[float]:
    """Seconds between the tries of a child's sync, as gitops/apps has them.

    Argo CD counts a failure before it reads the pause after it: the first one is twice the shortest.
    Source: NextRetryAt of https://github.com/argoproj/argo-cd/blob/v3.5.3/pkg/apis/application/v1alpha1/types.go
    """
    retry = yaml.safe_load((ROOT / "gitops/apps/values.yaml").read_text())["retry"]
    first, longest = (durationpy.from_str(retry["backoff"][key]).total_seconds() for key in ("duration", "maxDuration"))
    return [min(first * retry["backoff"]["factor"] ** failed, longest) for failed in range(1, retry["limit"] + 1)]


def appended(template: str, value: str) -> str:
    """A template with one more object: the API server takes text as the value, and refuses a number."""
    before = template.partition("\n---\napiVersion: v1\nkind: ConfigMap\n")[0]
    return f"{before}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {MENDED}}}\ndata: {{commit: {value}}}\n"


def status(lab: Lab, name: str) -> dict[str, Any]:
    return lab.application(name).get("status") or {}


def tries(lab: Lab, name: str, revision: str) -> int:
    """How often the sync of a revision has failed, where it waits for its next try; else 0."""
    found = status(lab, name).get("operationState") or {}
    waits = found.get("phase") == "Running" and bool(found.get("finishedAt"))
    return found.get("retryCount", 0) if waits and found.get("syncResult", {}).get("revision") == revision else 0


def has_arrived(lab: Lab, name: str, revision: str) -> bool:
    """Whether a sync of a revision has succeeded, and everything is Synced and Healthy."""
    found = status(lab, name)
    ended = found.get("operationState") or {}
    return (
        (ended.get("phase"), ended.get("syncResult", {}).get("revision")) == ("Succeeded", revision)
        and (found["sync"]["status"], found["sync"]["revision"]) == ("Synced", revision)
        and found["health"]["status"] == "Healthy"
    )


def is_back(lab: Lab, name: str, revision: str) -> bool:
    found = status(lab, name)
    return (found["sync"]["status"], found["sync"]["revision"], found["health"]["status"]) == (
        "Synced",
        revision,
        "Healthy",
    )


def end_its_tries(lab: Lab, name: str) -> None:
    """What the runbook says: the sync is given up, and automatic sync begins another one."""
    lab.patch("application.argoproj.io", name, {"operation": None, "status": {"operationState": None}}, "argocd")


def measured(lab: Lab, name: str, revision: str, seconds: float, what: str) -> None:
    """Wait until a revision has arrived, and print how long that takes, for the page of measurements."""
    pushed = time.monotonic()
    until(f"{name} is at the mending commit", lambda: has_arrived(lab, name, revision), seconds)
    print(f"mending commit, {what}: {time.monotonic() - pushed:.1f} s")


@pytest.fixture
def clean(lab: Lab) -> Iterator[Lab]:
    """The lab, which is at the tree's own commit again afterwards."""
    yield lab
    revision = lab.ask("publish")
    lab.patch("application.argoproj.io", PLATFORM, {"spec": {"syncPolicy": {"retry": {"refresh": True}}}}, "argocd")
    for name in (PLATFORM, CHILD):
        found = status(lab, name).get("operationState") or {}
        if found.get("phase") == "Running" and found.get("finishedAt"):
            end_its_tries(lab, name)
        until(f"{name} is at the tree's commit", lambda name=name: is_back(lab, name, revision), SYNC_SECONDS)


def bad_and_mending(lab: Lab, file: str, name: str) -> tuple[str, str]:
    """The revisions of a commit that a child's or the root's sync fails with, and of the one that mends it."""
    number = next(COMMITS)
    bad = lab.commit(file, lambda template: appended(template, str(number)))
    until(f"the sync of {name} has failed, and waits for its next try", lambda: tries(lab, name, bad), SYNC_SECONDS)
    return bad, lab.commit(file, lambda template: appended(template, f'"{number}"'))


def test_the_roots_next_try_takes_the_mending_commit_from_its_branch(clean: Lab) -> None:
    """Without ``refresh`` its ten tries of the bad one would take half an hour."""
    _, mend = bad_and_mending(clean, APPS, PLATFORM)
    measured(clean, PLATFORM, mend, SYNC_SECONDS, "root, a new object, retry.refresh")
    assert clean.get("configmap", MENDED, "argocd")["data"]["commit"].isdigit()


def test_without_refresh_the_root_stays_at_the_bad_commit_until_somebody_ends_its_tries(clean: Lab) -> None:
    clean.patch("application.argoproj.io", PLATFORM, {"spec": {"syncPolicy": {"retry": {"refresh": False}}}}, "argocd")
    bad, mend = bad_and_mending(clean, APPS, PLATFORM)
    before = tries(clean, PLATFORM, bad)
    until("it has tried the bad one again", lambda: tries(clean, PLATFORM, bad) > before, SYNC_SECONDS)
    assert clean.get("configmap", MENDED, "argocd") is None
    end_its_tries(clean, PLATFORM)
    measured(clean, PLATFORM, mend, SYNC_SECONDS, "root, a new object, no refresh, given up by hand")


def test_a_child_tries_the_bad_commit_to_the_end_and_then_takes_the_mending_one(clean: Lab) -> None:
    """``retry.refresh`` reads the revision anew, from the source that the operation began with: the root's old commit.

    Source: https://github.com/argoproj/argo-cd/issues/28794
    """
    bad, mend = bad_and_mending(clean, POLICIES, CHILD)
    until(
        "the root has handed the mending commit over",
        lambda: clean.application(CHILD)["spec"]["source"]["targetRevision"] == mend,
        SYNC_SECONDS,
    )
    before = tries(clean, CHILD, bad) or 1
    until("it tries the bad one again", lambda: tries(clean, CHILD, bad) > before, SYNC_SECONDS)
    measured(clean, CHILD, mend, sum(pauses()) + 2 * SYNC_SECONDS, f"child, a new object, tries of {sum(pauses())} s")
    assert clean.get("configmap", MENDED, NAMESPACE)["data"]["commit"].isdigit()


def test_giving_up_spares_a_child_the_bad_commits_tries(clean: Lab) -> None:
    _, mend = bad_and_mending(clean, POLICIES, CHILD)
    until(
        "the root has handed the mending commit over",
        lambda: clean.application(CHILD)["spec"]["source"]["targetRevision"] == mend,
        SYNC_SECONDS,
    )
    end_its_tries(clean, CHILD)
    measured(clean, CHILD, mend, SYNC_SECONDS, "child, a new object, given up by hand")
    assert clean.get("configmap", MENDED, NAMESPACE)["data"]["commit"].isdigit()
