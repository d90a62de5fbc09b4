"""The release's values become Argo CD's configuration as the chart writes it."""

import base64
from pathlib import Path
from typing import Any

from infra.argocd import APPLICATION_HEALTH
from otel_on_spot.lab.releases.argocd_config import config_maps, secret, unknown_keys, written
from otel_on_spot.plan.record import record

RELEASE = "kubernetes:helm.sh/v3:Release"


def program_values() -> dict[str, Any]:
    found = [registration.inputs for registration in record("lab").registrations if registration.type == RELEASE]
    return next(entry["values"] for entry in found if entry["chart"] == "argo-cd")


def data(values: dict[str, Any], upstream: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
    return {
        config_map["metadata"]["name"]: config_map["data"]
        for config_map in config_maps(values, upstream or {}, name="argocd", version="v3.5.3")
    }


def test_the_programs_values_reach_the_config_maps() -> None:
    seen = data(program_values(), {"resource.exclusions": "upstream"})

    assert seen["argocd-cm"]["resource.customizations.health.argoproj.io_Application"] == APPLICATION_HEALTH
    assert seen["argocd-cm"]["application.resourceTrackingMethod"] == "annotation"
    assert seen["argocd-cm"]["admin.enabled"] == "true"
    assert seen["argocd-cm"]["resource.exclusions"] == "upstream"
    assert seen["argocd-cmd-params-cm"]["controller.diff.server.side"] == "true"
    assert seen["argocd-rbac-cm"]["policy.default"] == ""


def test_everything_is_text_and_null_removes_a_default() -> None:
    seen = written({"a": "1", "b": "2"}, {"a": None, "c": True, "d": 7, "create": True})

    assert seen == {"b": "2", "c": "true", "d": "7"}


def test_the_domain_becomes_the_url_unless_one_is_given() -> None:
    assert data({"global": {"domain": "cd.example.org"}})["argocd-cm"]["url"] == "https://cd.example.org"
    assert data({"configs": {"cm": {"url": "https://x"}}})["argocd-cm"]["url"] == "https://x"


def test_the_key_that_signs_sessions_is_made_once_and_kept() -> None:
    first, other = secret({}, None), secret({}, None)

    assert first["data"]["server.secretkey"] != other["data"]["server.secretkey"]
    assert secret({}, first)["data"] == first["data"]


def test_secrets_of_the_values_are_written() -> None:
    values = {"configs": {"secret": {"extra": {"webhook": "w"}, "argocdServerAdminPassword": "$2a$x"}}}
    seen = {key: base64.b64decode(value).decode() for key, value in secret(values, None)["data"].items()}

    assert (seen["webhook"], seen["admin.password"]) == ("w", "$2a$x")


def test_keys_that_this_argo_cd_does_not_know_are_told(tmp_path: Path) -> None:
    program = tmp_path / "argocd"
    program.write_bytes(b"\0exec.enabled\0resource.customizations\0")
    cm = {"exec.enabled": False, "resource.customizations.health.x_Y": "", "brand.new": 1, "create": True}
    values = {"configs": {"cm": cm, "params": {"known": 1, "unknown": 2}}}

    found = unknown_keys(values, program, frozenset({"known"}))

    assert sorted(found) == ["configs.cm.brand.new", "configs.params.unknown"]
