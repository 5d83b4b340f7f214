"""The summary of a run that GitHub shows below a job: Markdown, appended to `$GITHUB_STEP_SUMMARY`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from certs.errors import ConfigError
from certs.verdict import Reason
from harness.evidence.result import RunResult
from harness.expectations import describe_verdict
from harness.running.steps import Outcome

_MARKS: Final = {Outcome.PASSED: "✅", Outcome.FAILED: "❌", Outcome.ERROR: "💥"}


def encode_summary(results: Sequence[RunResult]) -> str:
    """Return the results as Markdown: a table, then each one that did not pass."""
    passed = sum(result.outcome is Outcome.PASSED for result in results)
    lines = [
        f"## Presence lab: {passed} of {len(results)} scenarios passed",
        "",
        "| | scenario | clauses | verdicts | time |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        refused = sum(not judged.verdict.accepted for judged in result.verdicts)
        verdicts = f"{len(result.verdicts) - refused} accepted, {refused} refused"
        lines.append(
            f"| {_MARKS[result.outcome]} | `{result.name}` {_cell(result.title)} | {', '.join(result.covers)} "
            f"| {verdicts} | {result.duration:.2f} s |"
        )
    for result in results:
        if result.failure is not None:
            lines += ["", *_failure(result)]
    return "\n".join(lines) + "\n"


def append_summary(path: Path, results: Sequence[RunResult]) -> None:
    """Append the summary to a file, as steps before this one did with theirs.

    Raises ConfigError where the file cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(encode_summary(results))
    except OSError as error:
        raise ConfigError(f"the summary cannot be written to {path}: {error.strerror}") from error


def _failure(result: RunResult) -> list[str]:
    failure = result.failure
    assert failure is not None
    lines = [f"### {_MARKS[result.outcome]} {result.name}", "", _text(failure.message), ""]
    step = next((step for step in reversed(result.steps) if step.outcome is not Outcome.PASSED), None)
    if step is not None:
        lines += [f"In the step *{_text(step.title)}*.", ""]
    if failure.difference:
        lines += _fenced(failure.difference)
    if failure.remedy:
        lines += [f"**Remedy:** {_text(failure.remedy)}", ""]
    refused = [
        j for j in result.verdicts if not j.verdict.accepted and j.verdict.reason is not Reason.PEER_ALERT
    ]
    if refused:
        last = refused[-1]
        lines += [f"Last refusal, {last.node} {last.service}: {_text(describe_verdict(last.verdict))}", ""]
    if failure.details:
        lines += ["<details><summary>Traceback</summary>", "", *_fenced(failure.details), "</details>", ""]
    lines.append(f"Evidence: `{result.folder}`")
    return lines


def _fenced(text: str) -> list[str]:
    """Return a text as a code block that nothing in it can end."""
    fence = "```"
    while fence in text:
        fence += "`"
    return [fence, text.rstrip("\n"), fence, ""]


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    """Return a text that is no markup: what a peer sent may be in it."""
    text = " ".join(text.split())
    for sign in ("\\", "`", "*", "_", "[", "]", "<", ">", "#"):
        text = text.replace(sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign])
    return text
