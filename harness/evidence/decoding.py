"""Reads back what the ledger wrote: events as JSON objects, verdicts as values."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from certs.errors import ConfigError
from certs.verdict import PresentedCertificate, Reason, Side, Verdict

Event = Mapping[str, Any]
"One line of events.jsonl."


def read_events(path: Path) -> list[Event]:
    """Return the events of a file.

    A last line that was cut, as by a lab that was killed, is left out. Raises ConfigError where the file cannot be
    read or another line is no event.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    events: list[Event] = []
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                break
            raise ConfigError(f"{path}, line {number}: no JSON: {error}") from error
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            raise ConfigError(f'{path}, line {number}: expected an object with an "event"')
        events.append(event)
    return events


def decode_verdict(values: Event) -> Verdict:
    """Return a verdict that was written as JSON values.

    Raises ConfigError where they are no verdict.
    """
    try:
        disbelieved = values.get("disbelieved")
        return Verdict(
            accepted=bool(values["accepted"]),
            reason=Reason(values["reason"]),
            side=Side(values["side"]),
            presented_chain=tuple(_decode_certificate(one) for one in values.get("presented_chain", ())),
            rule=values.get("rule", ""),
            clause=values.get("clause", ""),
            remedy=values.get("remedy", ""),
            detail=values.get("detail", ""),
            alert_sent=values.get("alert_sent", ""),
            alert_received=values.get("alert_received", ""),
            verify_code=values.get("verify_code", 0),
            tls_version=values.get("tls_version", ""),
            cipher=values.get("cipher", ""),
            disbelieved=Reason(disbelieved) if disbelieved else None,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"no verdict: {error!r}") from error


def _decode_certificate(values: Event) -> PresentedCertificate:
    return PresentedCertificate(
        subject=values["subject"],
        common_name=values.get("common_name", ""),
        issuer=values["issuer"],
        subject_alternative_names=tuple(values["names"]),
        serial=values["serial"],
        not_before=datetime.fromisoformat(values["not_before"]),
        not_after=datetime.fromisoformat(values["not_after"]),
        sha256=values["sha256"],
        key=values["key"],
        signature_algorithm=values["signature_algorithm"],
    )


def chain_lines(chain: tuple[PresentedCertificate, ...]) -> list[str]:
    """Return a presented chain for people, four lines a certificate."""
    lines: list[str] = []
    for place, one in enumerate(chain):
        names = f", {', '.join(one.subject_alternative_names)}" if one.subject_alternative_names else ""
        lines += [
            f"certificate {place + 1}: {one.subject or 'cannot be read'}{names}",
            f"    issued by {one.issuer}",
            f"    valid {one.not_before:%Y-%m-%d %H:%M} to {one.not_after:%Y-%m-%d %H:%M} UTC",
            f"    {one.key}, {one.signature_algorithm}, serial {one.serial}, SHA-256 {one.sha256}",
        ]
    return lines
