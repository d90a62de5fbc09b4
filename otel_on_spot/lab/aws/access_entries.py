"""Keeps aws-iam-authenticator's files up to date with what EKS knows of a cluster.

That is its access entries and its authentication mode.

Run as ``python -m otel_on_spot.lab.aws.access_entries``. Entries are matched by the role's unique id, as EKS does:
one that was made for an earlier role of the same name admits nobody. EKS decides access policies by an authorizer of
its own; here each one is a group more for the entry's user, to which RBAC gives the policy's rules (``rbac``), and one
that counts in some namespaces only is left out. In mode CONFIG_MAP entries are not looked at, so the entry that stands
for a managed node group does not count there either: EKS itself would write that group's role into aws-auth.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html,
https://github.com/kubernetes-sigs/aws-iam-authenticator/tree/v0.6.13/pkg/mapper/dynamicfile
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otel_on_spot.files import write_atomically
from otel_on_spot.kubernetes.names import NODE_USERNAME
from otel_on_spot.lab import options
from otel_on_spot.simcloud.tables import Row, Tables

SECONDS = 0.5
"""Between two looks. The authenticator itself takes up to a second more to read a changed file."""
MODES = {
    "API": "DynamicFile",
    "API_AND_CONFIG_MAP": "DynamicFile EKSConfigMap",
    "CONFIG_MAP": "EKSConfigMap",
}
"""The authenticator's backends, in order, by EKS's authentication mode: an entry goes before the ConfigMap."""


def group_of_policy(policy: str) -> str:
    """Group of the users whose access entry has an access policy of EKS's own."""
    return f"lab:access-policy:{policy}"


def mapping(principal: str, entry: Row, policies: Sequence[str] = ()) -> dict[str, Any]:
    """One role mapping of the authenticator, from an access entry and the names of its access policies."""
    if entry["type"] == "EC2_LINUX":
        name, groups = NODE_USERNAME, ["system:nodes"]
    else:
        account, role = principal.split(":")[4], principal.rpartition("/")[2]
        session = f"arn:aws:sts::{account}:assumed-role/{role}/{{{{SessionName}}}}"
        name = entry.get("userName") or session
        groups = [*(entry.get("groups") or []), *map(group_of_policy, policies)]
    return {"rolearn": principal, "userid": entry["roleId"], "username": name, "groups": groups}


def mappings(tables: Tables, cluster: str) -> dict[str, Any]:
    """The authenticator's dynamic file: every entry of a role of this account."""
    rows = tables.all("access-entries", f"{cluster}/")
    policies = {
        key: row
        for key, row in tables.all("access-policies", f"{cluster}/").items()
        if row["scope"]["type"] == "cluster"
    }
    return {
        "mapRoles": [
            mapping(
                key.removeprefix(f"{cluster}/"),
                row,
                [of.rpartition("/")[2] for of in policies if of.startswith(f"{key}/arn:")],
            )
            for key, row in rows.items()
            if row["roleId"] and row["type"] in ("EC2_LINUX", "STANDARD")
        ],
        "mapUsers": [],
        "mapAccounts": [],
    }


def backend_mode(tables: Tables, cluster: str) -> dict[str, str]:
    """The authenticator's backend mode file. A cluster that is not there yet has entries only, and none.

    Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateAccessConfigRequest.html
    """
    row = tables.get("clusters", cluster)
    if row is None:
        return {"backendMode": MODES["API"]}
    access = row["inputs"].get("accessConfig") or {}
    return {"backendMode": MODES[access.get("authenticationMode") or "CONFIG_MAP"]}


def write(file: Path, content: Any) -> bool:
    """Replace a file where its content is another; whether it was."""
    text = json.dumps(content, indent=1, sort_keys=True)
    if file.exists() and file.read_text() == text:
        return False
    write_atomically(file, text)
    return True


def refresh(tables: Tables, cluster: str, entries: Path, mode: Path) -> bool:
    """Bring both files up to date; whether one changed.

    Args:
        tables: the simulated cloud's.
        cluster: its name.
        entries: file of the authenticator's mappings, ``DynamicFile``.
        mode: file that says which of its backends count.
    """
    changed = [write(entries, mappings(tables, cluster)), write(mode, backend_mode(tables, cluster))]
    return any(changed)


def main() -> None:
    """Look until killed."""
    given = options.given("cluster", "tables", "entries", "mode")
    tables = Tables(given.tables)
    while True:
        if refresh(tables, given.cluster, given.entries, given.mode):
            print("written", given.entries, given.mode, flush=True)
        time.sleep(SECONDS)


if __name__ == "__main__":
    main()
