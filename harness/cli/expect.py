"""`imp-harness expect`: wait for a client from outside to do a named thing."""

import json
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certs.errors import ConfigError, ConnectionFailed, HarnessError
from harness.cli.lab import AsJson, LabName, complete_node

if TYPE_CHECKING:
    from harness.endpoint.control_client import ControlClient

_MARGIN = 10.0
"Seconds that the lab's answer may take beyond the time it was given."


def _complete(incomplete: str) -> list[str]:
    from harness.endpoint.expecting.catalogue import EXPECTATIONS

    return [name for name in ("list", *EXPECTATIONS) if name.startswith(incomplete)]


def expect(
    name: Annotated[
        str, typer.Argument(help="What is expected; `list` prints the names.", autocompletion=_complete)
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARGUMENT] [-- COMMAND...]",
            help="A reason or an alert, see `list`; and the client, which is started once the lab watches.",
            show_default=False,
        ),
    ] = None,
    within: Annotated[str, typer.Option(help="How long to wait: 60s, 500ms, 2m.")] = "60s",
    node: Annotated[str, typer.Option(help="At this node only.", autocompletion=complete_node)] = "",
    user: Annotated[str, typer.Option(help="A login of this user only.")] = "",
    since_ready: Annotated[
        bool, typer.Option("--since-ready", help="Count what happened since the lab was ready, too.")
    ] = False,
    lab: LabName = None,
    as_json: AsJson = False,
) -> None:
    """Wait for a client from outside to do a named thing, and say what was seen.

    Exits 0 where it did, 1 where it did not in time: then the nearest miss is shown with its verdict. 2 means that
    it could not be waited for.
    """
    from harness.endpoint.control_client import ControlClient
    from harness.endpoint.durations import parse_duration

    if name == "list":
        _list(as_json=as_json)
        return
    argument, command = _split(name, words or [])
    seconds = parse_duration(within)
    client = ControlClient.of(lab)
    answers = client.follow(
        "expect",
        within=seconds + _MARGIN,
        seconds=seconds,
        name=name,
        argument=argument,
        node=node,
        user=user,
        since=0 if since_ready else None,
    )
    process = None
    try:
        for answer in answers:
            if answer["state"] == "armed":
                process = _start(command)
                if process is not None:
                    _tell_when_over(process, client, answer["number"])
            else:
                _show(name, answer, seconds, as_json=as_json)
                if answer["state"] == "met":
                    return
                raise typer.Exit(1)
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
    raise ConnectionFailed("the lab ended before the expectation was met")


def _split(name: str, words: list[str]) -> tuple[str, list[str]]:
    """Return the expectation's argument and the client's command; the parser has taken the `--` between them away."""
    behind = len(sys.argv) - 1 - sys.argv.index("--") if "--" in sys.argv else 0
    place = len(words) - behind
    if place > 1:
        raise ConfigError(
            f"expected one argument of {name} at most, seen {', '.join(map(repr, words[:place]))}"
        )
    return "".join(words[:place]), words[place:]


def _start(command: list[str] | None) -> "subprocess.Popen[bytes] | None":
    if not command:
        return None
    try:
        return subprocess.Popen(command)  # noqa: S603 - what the user asks for
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be started: {error.strerror}") from error


def _tell_when_over(process: "subprocess.Popen[bytes]", client: "ControlClient", number: int) -> None:
    """Have the lab wait a moment longer only once the client has ended."""

    def tell() -> None:
        process.wait()
        with suppress(HarnessError):  # the lab may have answered, or ended, in the meantime
            client.ask("client-ended", number=number)

    threading.Thread(target=tell, daemon=True).start()


def _list(*, as_json: bool) -> None:
    from harness.endpoint.expecting.catalogue import EXPECTATIONS

    if as_json:
        rows = [{"name": n, "title": e.title, "argument": e.argument} for n, e in EXPECTATIONS.items()]
        typer.echo(json.dumps(rows, indent=2))
        return
    for name, each in EXPECTATIONS.items():
        typer.echo(f"{f'{name} [{each.argument}]' if each.argument else name:<32}{each.title}")


def _show(name: str, answer: dict[str, Any], seconds: float, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"expected": name} | answer, indent=2))
    elif answer["state"] == "met":
        typer.echo(f"✔ {name}: {answer['seen']}")
    else:
        why = "the client ended without it" if answer["client_ended"] else f"not within {seconds:g} s"
        typer.echo(f"✘ {name}: {why}; {answer['connections']} connections from outside")
        typer.echo(f"  nearest miss: {answer['nearest']}")
        for line in answer.get("explanation", ()):
            typer.echo(f"    {line}")
