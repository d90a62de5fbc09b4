"""What people look at: manifests, picture, and never a secret."""

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import yaml
from rich.console import Console

from otel_on_spot.plan import manifests, picture, tree
from otel_on_spot.plan.record import record
from otel_on_spot.program.recording import Recording
from otel_on_spot.program.values import Secret
from tests.unit.conftest import recorded

ROOT = Path(__file__).parents[3]
SENTINEL = "sentinel-of-the-git-token"


def test_every_kubernetes_object_and_release_is_written_and_what_is_gone_goes(tmp_path: Path, dev: Recording) -> None:
    stale = tmp_path / "nodepool-gone.yaml"
    stale.write_text(manifests.HEADER + "{}\n")
    mine = tmp_path / "mine.yaml"
    mine.write_text("a: 1\n")
    written = {path.name for path in manifests.write(dev, tmp_path)}

    assert {
        "nodepool-spot.yaml",
        "nodepool-data.yaml",
        "ec2nodeclass-default.yaml",
        "release-argocd-release.yaml",
    } <= written
    assert "configmap-kube-system-aws-auth.yaml" in written
    assert (stale.exists(), mine.exists()) == (False, True)


def test_a_releases_file_has_chart_version_and_values(dev: Recording) -> None:
    release = manifests.releases(dev)["release-karpenter-controller.yaml"]

    assert (release["name"], release["version"]) == ("karpenter", "1.14.3")
    assert release["values"]["settings"]["interruptionQueue"] == "otel-dev-interruption"


def test_mermaid_points_from_what_is_first_to_what_needs_it_without_implied_edges(dev: Recording) -> None:
    lines = picture.mermaid(dev).splitlines()

    assert "  network --> cluster" in lines
    assert "  network --> platform" not in lines


def test_the_drawing_is_xml_that_names_every_component(dev: Recording) -> None:
    drawn = ElementTree.fromstring(picture.svg(dev))
    texts = {node.text for node in drawn.iter("{http://www.w3.org/2000/svg}text")}

    assert {node.kind for node in picture.by_component(dev).nodes.values()} <= texts


def test_the_committed_picture_is_that_of_the_committed_program(prod: Recording) -> None:
    assert (ROOT / "docs/pictures/prod.svg").read_text() == picture.svg(prod)


def test_a_secret_of_the_stack_is_in_no_view(tmp_path: Path) -> None:
    plan = record("dev", config_overrides={"gitToken": Secret(SENTINEL)})
    shown = io.StringIO()
    tree.show(plan, Console(file=shown, width=200))
    files = "".join(path.read_text() for path in manifests.write(plan, tmp_path))
    views = [shown.getvalue(), json.dumps(manifests.as_document(plan)), files, picture.mermaid(plan), picture.svg(plan)]

    assert [SENTINEL in view for view in views] == [False] * 5
    assert "repository" in shown.getvalue()


def test_the_tree_counts_what_it_shows(dev: Recording) -> None:
    shown = io.StringIO()
    tree.show(dev, Console(file=shown, width=200))

    assert f"{sum(r.custom for r in dev)} resources" in shown.getvalue()
    assert "aws:ec2:Vpc" in shown.getvalue()


def test_the_pages_show_the_first_line_of_the_committed_plan(dev: Recording) -> None:
    shown = io.StringIO()
    tree.show(dev, Console(file=shown, width=200))
    first = shown.getvalue().splitlines()[0]
    for page in ("README.md", "docs/plan.md"):
        assert f"{first.rstrip()}\n" in (ROOT / page).read_text(), page


def test_the_settings_table_is_the_models_own() -> None:
    from typer.testing import CliRunner

    from otel_on_spot.cli import app

    table = CliRunner().invoke(app, ["settings", "--markdown"]).stdout
    page = (ROOT / "docs" / "settings.md").read_text()

    assert table in page.partition("<!-- settings:begin -->\n")[2].partition("<!-- settings:end -->")[0]


def test_one_setting_is_explained_with_what_is_below_it_and_a_slip_is_answered() -> None:
    from typer.testing import CliRunner

    from otel_on_spot.cli import app

    explained = CliRunner().invoke(app, ["settings", "--explain", "pools.spot.limits"])
    assert [line for line in explained.stdout.splitlines() if not line.startswith(" ")] == [
        "pools.<name>.limits", "pools.<name>.limits.cpu", "pools.<name>.limits.memory", "pools.<name>.limits.nodes",
    ]  # fmt: skip
    slip = CliRunner().invoke(app, ["settings", "--explain", "cluster.kubernetsVersion"])
    assert slip.exit_code == 2
    assert "close to it: cluster.kubernetesVersion" in slip.output


def test_a_manifest_is_yaml_that_kubernetes_would_read(tmp_path: Path) -> None:
    manifests.write(recorded("prod"), tmp_path)
    parsed = [yaml.safe_load(path.read_text()) for path in tmp_path.glob("*.yaml")]

    assert all(isinstance(document, dict) for document in parsed)
    assert {"NodePool", "Application", "AppProject", "EC2NodeClass"} <= {d.get("kind") for d in parsed}
