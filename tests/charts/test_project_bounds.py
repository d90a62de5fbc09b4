"""The AppProject that Pulumi declares allows what the children render, and nothing else."""

from infra import names
from infra.app_of_apps import BUILT_IN_NAMESPACES, CLUSTER_KINDS
from tests.charts.footprint import children_footprint


def test_the_project_allows_every_namespace_that_a_child_names_and_no_other(wrapper) -> None:
    footprint = children_footprint(wrapper)

    assert set(footprint.namespaces) == {names.ARGOCD_NAMESPACE, *BUILT_IN_NAMESPACES}


def test_the_project_allows_every_cluster_scoped_kind_that_a_child_renders_and_no_other(wrapper) -> None:
    footprint = children_footprint(wrapper)
    kinds = set(footprint.cluster_kinds)

    assert kinds <= set(CLUSTER_KINDS)
    if footprint.complete:
        assert kinds == set(CLUSTER_KINDS)
