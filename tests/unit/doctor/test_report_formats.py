"""The report as other tools read it: JUnit, SARIF and Markdown, of every status and of hostile texts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from otel_on_spot.cli.main import app
from otel_on_spot.doctor.checks import CHECKS
from otel_on_spot.doctor.examine import examine
from otel_on_spot.doctor.facts import dump
from otel_on_spot.report import Report
from otel_on_spot.report_formats import FORMATS
from tests.unit.doctor import access_faults, capacity_faults
from tests.unit.doctor.changes import HEALTHY, all_of

HOSTILE = "a|b `c` <d> *e* _f_ [g](h) & \x1b[31m\x00 \uffff ]]> {0}\nsecond line"
TEXT = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]}
"""A message of SARIF's, §3.11."""


def closed(required: str, **properties: Any) -> dict[str, Any]:
    """An object of SARIF's: no property but these, as its schema has additionalProperties false."""
    names = required.split()
    return {"type": "object", "required": names, "properties": properties, "additionalProperties": False}


def listed(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


LEVEL = {"enum": ["none", "note", "warning", "error"]}
RULE = closed("id", id={"type": "string"}, name={"type": "string"}, shortDescription=TEXT, help=TEXT)
LOCATION = closed(
    "physicalLocation",
    physicalLocation=closed(
        "artifactLocation region",
        artifactLocation=closed("uri", uri={"type": "string"}, uriBaseId={"type": "string"}),
        region=closed("startLine", startLine={"type": "integer", "minimum": 1}),
    ),
    logicalLocations=listed(closed("name", name={"type": "string"}, kind={"type": "string"})),
)
RESULT = closed(
    "ruleId message locations partialFingerprints",
    ruleId={"type": "string"},
    ruleIndex={"type": "integer", "minimum": 0},
    level=LEVEL,
    message=TEXT,
    locations=listed(LOCATION, minItems=1),
    partialFingerprints={"type": "object", "additionalProperties": {"type": "string"}},
    properties={"type": "object"},
)
INVOCATION = closed(
    "executionSuccessful",
    executionSuccessful={"type": "boolean"},
    exitCode={"type": "integer"},
    endTimeUtc={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
    toolExecutionNotifications=listed(
        closed("message", level=LEVEL, message=TEXT, associatedRule=closed("id", id={"type": "string"}))
    ),
)
RUN = closed(
    "tool",
    tool=closed("driver", driver=closed("name", name={"type": "string"}, rules=listed(RULE, uniqueItems=True))),
    automationDetails=closed("", id={"type": "string"}),
    invocations=listed(INVOCATION),
    results=listed(RESULT),
)
SARIF = closed(
    "version runs", **{"$schema": {"type": "string"}}, version={"const": "2.1.0"}, runs=listed(RUN, minItems=1)
)
"""What SARIF 2.1.0 (OASIS, sections 3.13 to 3.58) asks of the objects that are written, and code scanning of results.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html,
https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support
"""
ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
    "testcase": {"classname", "name", "time"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "system-out": set(),
}
"""Elements of JUnit's XML and their attributes, in Jenkins' schema (junit-10.xsd) and in pytest's files."""


@pytest.fixture(scope="module")
def report() -> Report:
    """Two checks with findings, one of them with hostile texts and twice of one subject; one unknown; the rest fine."""
    both = all_of(access_faults.FAULTS["role not mapped"][1], capacity_faults.FAULTS["no Spot role"][1])
    facts = replace(both(HEALTHY), budgets=None, unknown={"budgets": f"refused {HOSTILE}"})
    made = examine(facts, CHECKS, seconds=1.25, notes=("a note | of it",))

    def twice(verdict: Any) -> Any:
        if verdict.id != "spot-role":
            return verdict
        first = verdict.findings[0]
        odd = replace(first, subject=HOSTILE, seen=HOSTILE, rule=HOSTILE, remedy=(f"echo ```{HOSTILE}",))
        return replace(verdict, what=HOSTILE, findings=(odd, replace(odd, severity="warning"), first))

    return replace(made, verdicts=tuple(map(twice, made.verdicts)))


def test_sarif_has_the_structure_of_2_1_0_and_what_code_scanning_asks_for(report: Report) -> None:
    document = json.loads(FORMATS["sarif"](report))
    assert list(Draft202012Validator(SARIF).iter_errors(document)) == []
    (run,) = document["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == [check.id for check in CHECKS]
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    assert [(result["ruleId"], result["level"]) for result in run["results"]] == [
        ("node-role", "error"),
        ("spot-role", "error"),
        ("spot-role", "warning"),
        ("spot-role", "error"),
    ]
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(prints)) == 4
    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]}
    assert uris == {"Pulumi.lab.yaml"}
    (invocation,) = run["invocations"]
    told = {notice["associatedRule"]["id"] for notice in invocation["toolExecutionNotifications"]}
    assert told == {verdict.id for verdict in report.verdicts if verdict.status == "unknown"} != set()
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 2)


SPOILT = {
    "another version": lambda document: document.update(version="2.0.0"),
    "no message": lambda document: document["runs"][0]["results"][0].pop("message"),
    "no location": lambda document: document["runs"][0]["results"][0]["locations"].clear(),
    "an unknown property": lambda document: document["runs"][0]["results"][0].update(severity="error"),
    "nobody says how it ended": lambda document: document["runs"][0]["invocations"][0].pop("executionSuccessful"),
    "no driver": lambda document: document["runs"][0]["tool"].pop("driver"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_no_sarif_is_seen(report: Report, name: str) -> None:
    document = json.loads(FORMATS["sarif"](report))
    SPOILT[name](document)
    assert list(Draft202012Validator(SARIF).iter_errors(document))


def test_a_finding_keeps_its_fingerprint_while_what_is_seen_counts_on(report: Report) -> None:
    def prints(of: Report) -> list[str]:
        (run,) = json.loads(FORMATS["sarif"](of))["runs"]
        return [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]

    later = tuple(
        replace(verdict, findings=tuple(replace(finding, seen="for 3 h") for finding in verdict.findings))
        for verdict in report.verdicts
    )
    assert prints(replace(report, verdicts=later)) == prints(report)


def test_junit_is_what_pytest_writes_and_its_readers_expect(report: Report) -> None:
    suites = ElementTree.fromstring(FORMATS["junit"](report).encode())
    for element in suites.iter():
        assert set(element.attrib) == ATTRIBUTES[element.tag], element.tag
    (suite,) = suites
    tests = list(suite)
    assert [test.get("name") for test in tests] == [check.id for check in CHECKS]
    outcomes = {test.get("name"): [child.tag for child in test] for test in tests}
    assert all(len(children) == 1 for children in outcomes.values()), "a reader takes one outcome of a test"
    unknown = {verdict.id for verdict in report.verdicts if verdict.status == "unknown"}
    by_tag = {tag: {name for name, (child,) in outcomes.items() if child == tag} for tag in ("failure", "error")}
    assert by_tag == {"failure": {"node-role", "spot-role"}, "error": unknown}
    counts = {name: int(suite.get(name, "")) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": len(CHECKS), "failures": 2, "errors": len(unknown), "skipped": 0}
    assert suites.get("tests") == suite.get("tests")
    failure = next(test for test in tests if test.get("name") == "spot-role")[0]
    assert failure.get("type") == "critical"
    assert "second line" in str(failure.text)
    assert "do: aws iam create-service-linked-role" in str(failure.text)


def test_markdown_keeps_others_texts_on_their_line_and_as_text(report: Report) -> None:
    lines = FORMATS["markdown"](report).splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [check.id for check in CHECKS]
    assert all(row.replace("\\|", "").count("|") == 4 for row in rows), "three cells each"
    seen = next(line for line in lines if line.startswith("- **warning:"))
    assert r"a\|b \`c\` \<d\> \*e\* \_f\_ \[g\](h)" in seen
    assert "second line" in seen
    fences = [line.strip() for line in lines if line.strip().startswith("````")]
    assert fences == 2 * ["````sh", "````"], "a longer fence around a command with three backticks"
    assert "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com" in "\n".join(lines)
    assert "Runbook: [docs/runbooks/doctor/spot-role.md](docs/runbooks/doctor/spot-role.md)" in lines


@pytest.mark.parametrize("form", ["table", *FORMATS])
def test_each_format_goes_to_a_file_beside_the_table_and_keeps_the_exit_code(tmp_path: Path, form: str) -> None:
    kept, file = tmp_path / "facts.json", tmp_path / "report"
    kept.write_text(dump(capacity_faults.FAULTS["no Spot role"][1](HEALTHY)))
    printed = CliRunner().invoke(app, ["doctor", "--facts", str(kept), "--format", form])
    written = CliRunner().invoke(app, ["doctor", "--facts", str(kept), "--format", form, "--output", str(file)])
    assert (printed.exit_code, written.exit_code) == (1, 1), printed.output
    assert "do    aws iam create-service-linked-role" in written.output, "the table"
    told = file.read_text()
    assert "AWSServiceRoleForEC2Spot" in told
    assert file.stat().st_mode & 0o077 == 0
    starts = {"junit": "<?xml", "markdown": "### doctor lab", "table": "doctor lab: otel-lab"}.get(form, "{")
    assert told.startswith(starts)
    assert printed.output.startswith(starts)
