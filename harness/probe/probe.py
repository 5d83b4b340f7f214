"""Runs a probe: finds the server, looks at it as what it is said to be, and returns the report."""

from pathlib import Path

from certs.errors import ConfigError
from harness.probe.kinds import Protocol, TlsMode
from harness.probe.options import ProbeOptions, load_credential, load_trust
from harness.probe.report import ProbeReport
from harness.probe.sip import probe_sip
from harness.probe.target import DEFAULT_PORTS, address_of, find_target
from harness.probe.web import probe_web
from harness.probe.xmpp import probe_xmpp
from proxies.sip.transport.flow import Transport

DEFAULT_MODES = {
    Protocol.SIP: TlsMode.DIRECT,
    Protocol.XMPP: TlsMode.STARTTLS,
    Protocol.XMPP_SERVER: TlsMode.STARTTLS,
    Protocol.BOSH: TlsMode.DIRECT,
    Protocol.HTTPS: TlsMode.DIRECT,
}
"When TLS begins unless `--tls` says otherwise."


async def probe(
    text: str,
    protocol: Protocol,
    *,
    mode: TlsMode | None = None,
    udp: bool = False,
    ca: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    server_name: str = "",
    domain: str = "",
    sender: str = "",
    path: str = "/httpbinding",
    dns: str = "",
    within: float = 10.0,
) -> ProbeReport:
    """Look at a server; everything it does wrong is in the report.

    Raises ConfigError and CertificateError where the arguments cannot be used, ConnectionFailed where nobody
    answers.
    """
    mode = _check_mode(
        protocol, TlsMode.NONE if udp and mode is None else mode or DEFAULT_MODES[protocol], udp=udp
    )
    trust, credential = load_trust(ca), load_credential(certificate, key)
    target = await find_target(text, protocol, mode, dns=dns, within=within)
    address = await address_of(target.host, target.port)
    is_xmpp = protocol in (Protocol.XMPP, Protocol.XMPP_SERVER, Protocol.BOSH)
    asked_for = server_name or (
        domain if is_xmpp and protocol is not Protocol.BOSH and domain else target.name
    )
    options = ProbeOptions(
        trust=trust,
        credential=credential,
        server_name=asked_for,
        domain=domain or target.name,
        sender=sender or "probe.invalid",
        path=path if path.startswith("/") else f"/{path}",
        timeout=within,
    )
    report = ProbeReport(host=target.host, port=target.port, protocol=protocol)
    if target.from_srv:
        report.ok("SRV record", f"{target.from_srv} leads to {target.host}:{target.port}")
    match protocol:
        case Protocol.SIP:
            transport = Transport.UDP if udp else Transport.TCP if mode is TlsMode.NONE else Transport.TLS
            await probe_sip(report, address, transport, options)
        case Protocol.XMPP | Protocol.XMPP_SERVER:
            await probe_xmpp(report, address, mode, options)
        case Protocol.BOSH | Protocol.HTTPS:
            await probe_web(report, address, mode, options)
    return report


def _check_mode(protocol: Protocol, mode: TlsMode, *, udp: bool) -> TlsMode:
    known = [known_mode for known_protocol, known_mode in DEFAULT_PORTS if known_protocol is protocol]
    if mode not in known:
        raise ConfigError(f"--tls: expected {' or '.join(known)} for {protocol}, seen {mode}")
    if udp and (protocol is not Protocol.SIP or mode is not TlsMode.NONE):
        raise ConfigError("--udp is for --as sip without TLS")
    return mode
