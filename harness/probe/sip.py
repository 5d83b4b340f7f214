"""A SIP server from the client's side: the handshake, and what it answers to OPTIONS (RFC 3261 11)."""

import socket
from typing import Final

from certs.verdict import Reason
from harness.probe.options import ProbeOptions
from harness.probe.report import ProbeReport
from harness.probe.watching import ProbeObserver, require_reached
from proxies.clock import LoopClock
from proxies.sip.agent.request_sender import RequestOutcome
from proxies.sip.agent.user_agent import UserAgent, UserAgentSettings
from proxies.sip.transport.flow import Destination, Transport

_WANTS_CREDENTIALS: Final = (401, 407)
_SHOWN: Final = ("server", "user-agent", "allow", "supported", "accept")


class _OneHost:
    """The target's name was looked up before; there are no others."""

    def address_of(self, name: str) -> str | None:
        """Return the name, which is an address."""
        return name

    def services_of(self, domain: str, transport: Transport) -> tuple[tuple[str, int], ...]:
        """Return none: the port is known."""
        return ()


async def probe_sip(report: ProbeReport, address: str, transport: Transport, options: ProbeOptions) -> None:
    """Shake hands, ask OPTIONS, and look behind a certificate that is refused."""
    observer = ProbeObserver()
    outcome = await _ask(report, address, transport, options, observer)
    handshake = observer.verdicts[0] if transport is Transport.TLS and observer.verdicts else None
    if handshake is not None:
        report.judge("TLS handshake", handshake)
    late = [verdict for verdict in observer.verdicts[1:] if verdict.reason is Reason.PEER_ALERT]
    if late:
        report.judge("the server's answer to our handshake", late[0])
        return
    if handshake is None or handshake.accepted:
        _add_answer(report, outcome, options)
    elif handshake.presented_chain and not handshake.alert_received:
        again = ProbeObserver()
        outcome = await _ask(report, address, transport, options, again, believe=True)
        refused = [verdict for verdict in again.verdicts if not verdict.accepted]
        if refused:
            report.judge("the server's answer, had its certificate been believed", refused[-1])
        else:
            report.note("behind the refused certificate", f"SIP OPTIONS: {_words(outcome)}")


async def _ask(
    report: ProbeReport,
    address: str,
    transport: Transport,
    options: ProbeOptions,
    observer: ProbeObserver,
    *,
    believe: bool = False,
) -> RequestOutcome:
    settings = UserAgentSettings(
        uri=f"sip:probe@{options.domain}",
        address=_own_address(address, report.port),
        outbound_proxy=Destination(transport=transport, host=address, port=report.port),
        tls_client=options.tls_without_belief if believe else options.tls,
        time_limit=options.timeout,
    )
    async with UserAgent(settings, clock=LoopClock(), resolver=_OneHost(), observer=observer) as agent:
        outcome = await agent.options(f"sip:{options.domain}")
    if outcome.verdict is not None and outcome.verdict not in observer.verdicts:
        observer.verdicts.append(outcome.verdict)
    require_reached(observer.verdicts)
    return outcome


def _add_answer(report: ProbeReport, outcome: RequestOutcome, options: ProbeOptions) -> None:
    words = _words(outcome)
    if outcome.accepted:
        report.ok("SIP OPTIONS", words)
    elif outcome.status in _WANTS_CREDENTIALS:
        report.ok("SIP OPTIONS", f"{words}: it speaks SIP, and asks for credentials")
    elif outcome.response is None:
        report.wrong(
            "SIP OPTIONS",
            words,
            remedy="The port takes connections and answers no SIP: check the port and the server's log, "
            "or give it more time by --timeout.",
        )
    else:
        report.wrong(
            "SIP OPTIONS",
            words,
            remedy=f"It speaks SIP and refuses OPTIONS to sip:{options.domain}: check its access list or trunk for "
            "this client, or name the domain that it serves by --domain.",
        )
    if outcome.response is not None:
        for name in _SHOWN:
            value = ", ".join(outcome.response.headers(name))
            if value:
                report.note(name.title(), value[:300])


def _words(outcome: RequestOutcome) -> str:
    if outcome.response is None:
        return outcome.reason
    return f"{outcome.status} {outcome.reason} {outcome.warning}".strip()


def _own_address(address: str, port: int) -> str:
    """Return the address that this machine would reach a server from; nothing is sent for that."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, port))
        except OSError:
            return "::" if family is socket.AF_INET6 else "0.0.0.0"  # noqa: S104 - no route; dialling says so
        return str(probe.getsockname()[0])
