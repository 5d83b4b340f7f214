"""What a probe found: a value that the terminal and `--json` read."""

from dataclasses import dataclass, field
from typing import Any, Final

from certs.verdict import PresentedCertificate, Reason, Verdict
from harness.evidence.ledger import encode_verdict
from harness.probe.kinds import Outcome, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    "What, as `TLS handshake` or `SIP OPTIONS`."

    outcome: Outcome
    "How it is; a note does not count."

    seen: str
    "What was seen, in a line."

    remedy: str = ""
    "What to do next; not empty where the outcome is WRONG."

    verdict: Verdict | None = None
    "The verdict of the handshake, with the presented chain."


@dataclass(slots=True)
class ProbeReport:
    """All that was found."""

    host: str
    "Where the server was looked for."

    port: int
    "On which port."

    protocol: Protocol
    "What it was taken for."

    findings: list[Finding] = field(default_factory=list)
    "What was looked at, in order."

    def ok(self, what: str, seen: str) -> None:
        """Add what is as it should be."""
        self.findings.append(Finding(what=what, outcome=Outcome.OK, seen=seen))

    def note(self, what: str, seen: str, *, remedy: str = "") -> None:
        """Add what is neither right nor wrong."""
        self.findings.append(Finding(what=what, outcome=Outcome.NOTE, seen=seen, remedy=remedy))

    def wrong(self, what: str, seen: str, *, remedy: str) -> None:
        """Add what is not as it should be, and what to do next."""
        self.findings.append(Finding(what=what, outcome=Outcome.WRONG, seen=seen, remedy=remedy))

    def judge(self, what: str, verdict: Verdict) -> None:
        """Add how a handshake was judged."""
        outcome = Outcome.OK if verdict.accepted else Outcome.WRONG
        seen = "accepted" if verdict.accepted else f"{verdict.reason}: {verdict.detail}".removesuffix(": ")
        if verdict.tls_version:
            seen = f"{seen}, {verdict.tls_version} {verdict.cipher}".rstrip()
        if verdict.alert_sent:
            seen = f"{seen}, we sent the alert {verdict.alert_sent}"
        remedy = "" if verdict.accepted else next_step(verdict)
        self.findings.append(Finding(what=what, outcome=outcome, seen=seen, remedy=remedy, verdict=verdict))

    @property
    def is_ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(finding.outcome is not Outcome.WRONG for finding in self.findings)

    @property
    def chain(self) -> tuple[PresentedCertificate, ...]:
        """What the server presented; empty where it presented nothing."""
        for finding in self.findings:
            if finding.verdict is not None and finding.verdict.presented_chain:
                return finding.verdict.presented_chain
        return ()

    def encode(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "host": self.host,
            "port": self.port,
            "as": self.protocol,
            "outcome": Outcome.OK if self.is_ok else Outcome.WRONG,
            "findings": [_encode(finding) for finding in self.findings],
        }


def _encode(finding: Finding) -> dict[str, Any]:
    values: dict[str, Any] = {"what": finding.what, "outcome": finding.outcome, "seen": finding.seen}
    if finding.remedy:
        values["remedy"] = finding.remedy
    if finding.verdict is not None:
        values["verdict"] = encode_verdict(finding.verdict)
    return values


_NEXT_STEPS: Final = {
    Reason.UNTRUSTED_ISSUER: "Trust the server's certificate, or its issuer's, with --ca FILE; where it should be "
    "trusted already, let a CA that clients know issue it.",
    Reason.INCOMPLETE_CHAIN: "Let the server send its intermediate certificates, behind its own in the chain file; "
    "or trust its issuer with --ca FILE.",
    Reason.EXPIRED: "Renew the server's certificate and reload the server.",
    Reason.NOT_YET_VALID: "Compare the clocks of both machines with the date; or wait, or have it issued again.",
    Reason.HOST_NAME_MISMATCH: "Have the certificate issued with this name as subject alternative name, or say by "
    "--server-name which name clients ask for.",
    Reason.XMPP_DOMAIN_MISMATCH: "Have the certificate issued with the XMPP domain as DNS name or SRVName "
    "(RFC 6120 13.7.1), or say by --domain which domain the server serves.",
    Reason.WRONG_KEY_USAGE: "Have the certificate issued with the extended key usage serverAuth.",
    Reason.WEAK_KEY: "Have it issued for an RSA key of 2048 bits or more, or for P-256.",
    Reason.WEAK_SIGNATURE: "Have it issued with SHA-256: clients no longer believe SHA-1.",
    Reason.NO_SHARED_CIPHER: "Compare the server's cipher list with what this OpenSSL offers: openssl ciphers -s.",
    Reason.PROTOCOL_VERSION: "Let the server take TLS 1.2 or 1.3.",
    Reason.NOT_TLS: "This port speaks no TLS from the first byte: try --tls starttls or --tls none, or another port.",
    Reason.CLOSED_EARLY: "Look into the server's log for this moment. A port that speaks no TLS may close like this: "
    "try --tls starttls or --tls none; so may a server that wants a client certificate: try --cert.",
    Reason.HANDSHAKE_TIMEOUT: "The server said nothing: try --tls starttls or --tls none, or another port.",
}
"What a person at the client's end can do; any other reason keeps the catalogue's remedy."

_ALERT_STEPS: Final = {
    "certificate_required": "The server wants a client certificate: give --cert FILE and --key FILE.",
    "unknown_ca": "The server does not trust the issuer of --cert: have its administrator import it.",
    "bad_certificate": "The server does not take --cert; its log says why.",
    "certificate_expired": "Renew the certificate of --cert.",
    "unsupported_certificate": "Give --cert with the extended key usage clientAuth.",
    "protocol_version": "The server takes neither TLS 1.2 nor 1.3: update it.",
    "unrecognized_name": "The server has no certificate for this name: say another by --server-name.",
    "handshake_failure": "The server found nothing in common, or wants a client certificate: give --cert FILE and "
    "--key FILE, and compare cipher lists.",
}
"By the name of the alert that the server sent (RFC 8446 6)."


def next_step(verdict: Verdict) -> str:
    """Return what to do after a refusal; never empty."""
    if verdict.reason is Reason.PEER_ALERT:
        return step_after_alert(verdict.alert_received)
    return _NEXT_STEPS.get(verdict.reason) or verdict.remedy or "Look into the server's log for this moment."


def step_after_alert(alert: str) -> str:
    """Return what to do after a server's alert, by the alert's name."""
    return _ALERT_STEPS.get(alert) or f"Look into the server's log for why it sent {alert}."
