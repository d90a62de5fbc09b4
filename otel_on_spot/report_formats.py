"""A report in the formats that other tools read: JUnit, SARIF, Markdown."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from typing import Any, Final
from xml.etree import ElementTree

from otel_on_spot.findings import Finding, Severity, format_count
from otel_on_spot.report import Report, Verdict, as_document, summary

SARIF_VERSION: Final = "2.1.0"
SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: Final[Mapping[Severity, str]] = {"critical": "error", "warning": "warning"}
"""SARIF's levels of results. Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html §3.27.10"""
NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write. Source: https://www.w3.org/TR/xml/#charsets"""
MARKDOWN: Final = re.compile(r"([\\`*_\[\]<>|#~])")
STATUS_WORDS: Final = {"ok": "in order", "found": "found", "unknown": "unknown"}


def as_json(report: Report) -> str:
    """The report whole."""
    return json.dumps(as_document(report), indent=2)


def finding_text(finding: Finding) -> str:
    """A finding in plain lines, as the table's foot has it."""
    lines = [f"{finding.severity}: {finding.subject}", f"seen: {finding.seen}", f"rule: {finding.rule}"]
    return "\n".join([*lines, *(f"do: {command}" for command in finding.remedy)])


def as_junit(report: Report) -> str:
    """JUnit's XML as pytest and Jenkins write and read it: a check is a test, a finding a failure, unknown an error.

    A reader takes one failure of a test: it tells all findings of the check.
    Source: https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
    """
    by_status = Counter(verdict.status for verdict in report.verdicts)
    counts = {
        "tests": str(len(report.verdicts)),
        "failures": str(by_status["found"]),
        "errors": str(by_status["unknown"]),
        "time": f"{report.seconds:.3f}",
    }
    whole = {"name": f"{report.command} {report.stack}", **counts}
    when_and_where = {"timestamp": report.taken_at.isoformat(timespec="seconds"), "hostname": report.cluster}
    suites = ElementTree.Element("testsuites", whole)
    suite = ElementTree.SubElement(suites, "testsuite", {**whole, "skipped": "0", **when_and_where})
    for verdict in report.verdicts:
        classname = f"{report.command}.{report.stack}"
        test = ElementTree.SubElement(suite, "testcase", classname=classname, name=verdict.id, time="0.000")
        if verdict.status == "unknown":
            told = verdict.why_unknown
            ElementTree.SubElement(test, "error", type="unknown", message=_xml(told)).text = _xml(told)
        elif verdict.findings:
            seen = "; ".join(f"{finding.subject}: {finding.seen}" for finding in verdict.findings)
            worst = min((finding.severity for finding in verdict.findings), key=list(LEVELS).index)
            text = "\n\n".join((*map(finding_text, verdict.findings), f"see: {verdict.runbook}"))
            ElementTree.SubElement(test, "failure", type=worst, message=_xml(seen)).text = _xml(text)
        else:
            ElementTree.SubElement(test, "system-out").text = _xml(verdict.what)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)


def _xml(text: str) -> str:
    return NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def as_sarif(report: Report) -> str:
    """SARIF as GitHub's code scanning reads it: a check is a rule, a finding a result in the stack's file.

    What runs has no file; code scanning takes no result without one, so each stands at the stack's, and is told from
    the others by its fingerprint: check and subject, not what is seen, which changes with time.
    Source: https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support
    """
    unknown = [verdict for verdict in report.verdicts if verdict.status == "unknown"]
    invocation: dict[str, Any] = {
        "executionSuccessful": not unknown,
        "exitCode": report.exit_code,
        "endTimeUtc": report.taken_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "toolExecutionNotifications": [
            {"level": "error", "message": {"text": verdict.why_unknown}, "associatedRule": {"id": verdict.id}}
            for verdict in unknown
        ],
    }
    run = {
        "tool": {"driver": {"name": f"otel-on-spot {report.command}", "rules": list(map(_rule, report.verdicts))}},
        "automationDetails": {"id": f"otel-on-spot/{report.command}/{report.stack}/"},
        "invocations": [invocation],
        "results": [
            _result(report, position, finding, fingerprint)
            for position, verdict in enumerate(report.verdicts)
            for finding, fingerprint in zip(verdict.findings, _fingerprints(verdict), strict=True)
        ],
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": SARIF_VERSION, "runs": [run]}, indent=2)


def _rule(verdict: Verdict) -> dict[str, Any]:
    return {
        "id": verdict.id,
        "name": "".join(word.capitalize() for word in verdict.id.split("-")),
        "shortDescription": {"text": verdict.title},
        "help": {"text": f"See {verdict.runbook}", "markdown": f"See [{verdict.runbook}]({verdict.runbook})."},
    }


def _fingerprints(verdict: Verdict) -> Iterator[str]:
    """A fingerprint for each finding; a subject that comes up twice is counted."""
    seen: Counter[str] = Counter()
    for finding in verdict.findings:
        seen[finding.subject] += 1
        digest = hashlib.sha256(f"{verdict.id} {finding.subject}".encode()).hexdigest()[:16]
        yield f"{digest}:{seen[finding.subject]}"


def _result(report: Report, position: int, finding: Finding, fingerprint: str) -> dict[str, Any]:
    verdict = report.verdicts[position]
    file = {"uri": f"Pulumi.{report.stack}.yaml", "uriBaseId": "%SRCROOT%"}
    return {
        "ruleId": verdict.id,
        "ruleIndex": position,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding_text(finding)}\nsee: {verdict.runbook}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": file, "region": {"startLine": 1}},
                "logicalLocations": [{"name": finding.subject, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"primaryLocationLineHash": fingerprint},
        "properties": {"seen": finding.seen, "rule": finding.rule, "remedy": list(finding.remedy)},
    }


def as_markdown(report: Report) -> str:
    """Markdown for a pull request or a run's summary: what was found first, then every check."""
    lines = [f"### {_plain(f'{report.command} {report.stack}: {report.cluster}, {report.region}')}", ""]
    lines += [_plain(summary(report)), ""]
    for verdict in report.verdicts:
        if verdict.findings:
            lines += [f"#### {_plain(verdict.title)} (`{verdict.id}`)", ""]
            for finding in verdict.findings:
                lines += _finding_lines(finding)
            lines += [f"Runbook: [{verdict.runbook}]({verdict.runbook})", ""]
        elif verdict.status == "unknown":
            lines += [f"- **not judged: `{verdict.id}`**: {_plain(verdict.why_unknown)}", ""]
    lines += ["| check | looked at | |", "|---|---|---|"]
    for verdict in report.verdicts:
        ending = format_count(len(verdict.findings), "finding") if verdict.findings else STATUS_WORDS[verdict.status]
        lines.append(f"| `{verdict.id}` | {_plain(verdict.what)} | {ending} |")
    lines += ["", *(f"{_plain(note)}  " for note in report.notes)]
    return "\n".join(lines).rstrip()


def _finding_lines(finding: Finding) -> list[str]:
    longest = max((len(run) for command in finding.remedy for run in re.findall("`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    return [
        f"- **{finding.severity}: {_plain(finding.subject)}**: {_plain(finding.seen)}",
        f"  Rule: {_plain(finding.rule)}",
        "",
        f"  {fence}sh",
        *(f"  {' '.join(command.splitlines())}" for command in finding.remedy),
        f"  {fence}",
        "",
    ]


def _plain(text: str) -> str:
    """Text of somebody else's that stays on its line and is no markup."""
    return MARKDOWN.sub(r"\\\1", " ".join(text.split()))


FORMATS: Final[Mapping[str, Callable[[Report], str]]] = {
    "json": as_json,
    "junit": as_junit,
    "sarif": as_sarif,
    "markdown": as_markdown,
}
"""By the name that the command line has for it; the table is ``report.show``."""
