"""JUnit XML of results, as CI servers read it."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from harness.evidence.result import RunResult
from harness.evidence.xml_text import clean
from harness.expectations import describe_verdict, explanation_lines
from harness.running.steps import Outcome


def encode_junit(results: Sequence[RunResult]) -> bytes:
    """Return one test suite with a test case a scenario."""
    outcomes = [result.outcome for result in results]
    suite = ET.Element(
        "testsuite",
        {
            "name": "imp-harness",
            "tests": str(len(results)),
            "failures": str(outcomes.count(Outcome.FAILED)),
            "errors": str(outcomes.count(Outcome.ERROR)),
            "skipped": "0",
            "time": f"{sum(result.duration for result in results):.3f}",
        },
    )
    if results:
        suite.set("timestamp", results[0].started_at.isoformat(timespec="seconds"))
    for result in results:
        suite.append(_test_case(result))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    encoded: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return encoded


def _test_case(result: RunResult) -> ET.Element:
    case = ET.Element(
        "testcase",
        {"classname": "scenarios", "name": result.name, "time": f"{result.duration:.3f}"},
    )
    if result.failure is not None:
        kind = "failure" if result.outcome is Outcome.FAILED else "error"
        failure = ET.SubElement(case, kind, {"message": clean(result.failure.message)})
        parts = (result.failure.difference, result.failure.remedy, result.failure.details)
        failure.text = clean("\n".join(filter(None, parts)))
    lines = [f"{result.title}; evidence: {result.folder}"]
    for step in result.steps:
        lines.append(f"[{step.outcome or 'cut short'}] {step.title} ({step.duration:.3f} s)")
        lines.extend(f"    {detail}" for detail in step.details)
    for judged in result.verdicts:
        lines.append(f"{judged.node}: {describe_verdict(judged.verdict)}")
        if not judged.verdict.accepted:
            lines.extend(f"    {line}" for line in explanation_lines(judged.verdict))
    ET.SubElement(case, "system-out").text = clean("\n".join(lines))
    return case
