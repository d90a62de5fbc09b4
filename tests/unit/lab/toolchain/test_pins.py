"""What the lab runs against what the stack pins."""

from pathlib import Path

import pytest

from otel_on_spot.lab.toolchain.pins import notes

RUNS = {"kube-apiserver": "v1.35.4", "argocd-application-controller": "v3.4.4", "karpenter": "v1.14.1"}


def stack(tmp_path: Path, kubernetes: str = "1.35", karpenter: str = "1.14.1", chart: str = "10.1.1") -> Path:
    path = tmp_path / "Pulumi.lab.yaml"
    path.write_text(f"""config:
  otel-on-spot:cluster: {{kubernetesVersion: "{kubernetes}"}}
  otel-on-spot:karpenter: {{version: {karpenter}}}
  otel-on-spot:argocd: {{chartVersion: {chart}}}
""")
    return path


def test_nothing_is_said_where_all_agrees(tmp_path: Path) -> None:
    assert notes(RUNS, stack(tmp_path)) == ()


@pytest.mark.parametrize(
    ("pinned", "note"),
    [
        ({"kubernetes": "1.3"}, "the program pins Kubernetes 1.3 (Pulumi.lab.yaml), the lab runs v1.35.4"),
        ({"karpenter": "1.14.10"}, "the program pins Karpenter 1.14.10 (Pulumi.lab.yaml), the lab runs v1.14.1"),
        (
            {"chart": "99.0.0"},
            "the program pins an Argo CD not known here (chart 99.0.0 in Pulumi.lab.yaml), the lab runs v3.4.4; "
            "ARGOCD=path runs a binary of yours",
        ),
    ],
)
def test_each_difference_is_one_line(tmp_path: Path, pinned: dict[str, str], note: str) -> None:
    assert notes(RUNS, stack(tmp_path, **pinned)) == (note,)


def test_without_a_stack_file_or_its_settings_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    assert notes(RUNS, tmp_path / "none.yaml") == ()
    (tmp_path / "empty.yaml").write_text("")
    assert notes(RUNS, tmp_path / "empty.yaml") == ()
    (tmp_path / "other.yaml").write_text("config:\n  otel-on-spot:region: eu-west-1\n")
    assert notes(RUNS, tmp_path / "other.yaml") == ()
