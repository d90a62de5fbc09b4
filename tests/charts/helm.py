"""The one door to Helm: a `helm` binary on PATH when there is one, helm-python-sdk otherwise."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

KUBERNETES_VERSION = "1.36.0"
FETCH = "import sys, helm_python; helm_python.dependency_build(sys.argv[1])"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
BINARY = shutil.which("helm")
"""Looked up before any test: tests of the lab have its tools on PATH, and its helm would take a process a rendering."""
GARBAGE = ("GOGC", "400")
"""How seldom Helm looks for garbage: at Go's own default, it takes a fourth of the time of a rendering."""
Values = dict[str, Any]


class HelmError(Exception):
    """What Helm said when it refused a chart or its values."""


@cache
def sdk() -> Any:
    """helm-python-sdk: it reads GOGC when its library is loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*GARBAGE)
        import helm_python

        helm_python.helm_sdk_version()
    return helm_python


@cache
def engine() -> str:
    """Which Helm renders, for the header of the test run."""
    if BINARY:
        version = subprocess.run([BINARY, "version", "--short"], capture_output=True, text=True, check=True, timeout=30)
        return f"helm {version.stdout.strip()} on PATH"
    return f"Helm {sdk().helm_sdk_version()} (helm-python-sdk)"


def layered(under: Values, over: Values) -> Values:
    """Values as they are handed to Helm: maps merge, all else replaces. A null stays: it removes a default."""
    merged = dict(under)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = layered(merged[key], value)
        else:
            merged[key] = value
    return merged


def coalesced(defaults: Values, given: Values) -> Values:
    """Values as a template sees them: the chart's defaults under what it was given, without what a null removed."""
    merged = layered(defaults, given)
    return {
        key: coalesced(value, {}) if isinstance(value, dict) else value
        for key, value in merged.items()
        if value is not None
    }


def load_values(files: Sequence[Path]) -> Values:
    """The given values files merged in order; a missing file counts as empty (Argo CD's ignoreMissingValueFiles)."""
    merged: Values = {}
    for file in files:
        if file.exists():
            merged = layered(merged, yaml.load(file.read_text(), LOADER) or {})
    return merged


def render(chart: Path, *, release: str, namespace: str, values: Values) -> list[dict[str, Any]]:
    """Every object that `helm template` gives for the chart and its subcharts. Callers share it: do not change it.

    Raises:
        HelmError: the chart does not load, its values break a schema, or a template fails.
    """
    return _render(chart, release, namespace, json.dumps(values))


@cache
def _render(chart: Path, release: str, namespace: str, values: str) -> list[dict[str, Any]]:
    if BINARY:
        return _documents([_template(BINARY, chart, release, namespace, values)])
    try:
        with sdk().Chart.load(chart) as loaded:
            manifests = loaded.render(json.loads(values), name=release, namespace=namespace)
    except sdk().HelmError as error:
        raise HelmError(str(error)) from error
    return _documents([text for name, text in manifests.items() if not name.endswith("NOTES.txt")])


def dependency_build(chart: Path, *, timeout_seconds: float) -> None:
    """Fills the chart's charts/ directory from its Chart.lock, in a process that can be stopped.

    Raises:
        HelmError: a repository cannot be reached in time, or the lock does not fit Chart.yaml.
    """
    command = [sys.executable, "-c", FETCH, str(chart)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds)
    except subprocess.TimeoutExpired as error:
        raise HelmError(f"no answer within {timeout_seconds:g} s") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1].rpartition("Error: ")[2]
        unread = said.startswith("open ") and said.endswith("index.yaml: no such file or directory")
        raise HelmError("the index of the chart repository cannot be read" if unread else said)


def _template(path: str, chart: Path, release: str, namespace: str, values: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(values)
        file.flush()
        command = [path, "template", release, str(chart), "--namespace", namespace, "--values", file.name]
        command += ["--kube-version", KUBERNETES_VERSION]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | dict([GARBAGE]))
    if done.returncode:
        raise HelmError(done.stderr.strip())
    return done.stdout


def _documents(texts: Sequence[str]) -> list[dict[str, Any]]:
    return [document for text in texts for document in yaml.load_all(text, LOADER) if document]
