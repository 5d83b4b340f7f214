"""The open flows of a service by where they lead, so that connections are used again (RFC 5923)."""

from certs.verdict import PresentedCertificate
from proxies.sip.messages.identity import matches_domain
from proxies.sip.transport.flow import Flow, Transport

_Key = tuple[Transport, str, int]


def peer_certificate(flow: Flow) -> PresentedCertificate | None:
    """Return the certificate that the peer of a flow proved to hold; None where it showed none."""
    chain = flow.verdict.presented_chain if flow.verdict is not None else ()
    return chain[0] if chain else None


class FlowTable:
    """Finds the flow that leads to a peer's address.

    A flow stands under the address that its socket is connected to, and a TLS flow also under the one that
    its peer advertises as an alias (RFC 5923 8).
    """

    def __init__(self) -> None:
        self._flows: dict[_Key, list[Flow]] = {}
        self._keys: dict[Flow, set[_Key]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, flow: Flow) -> bool:
        return flow in self._keys

    def add(self, flow: Flow) -> None:
        """Take in an open flow."""
        self._keys[flow] = set()
        self._put(flow, flow.peer[1])

    def add_alias(self, flow: Flow, *, sent_by_host: str, sent_by_port: int | None) -> bool:
        """Use a flow for requests to the address in its peer's Via too; return whether that is allowed.

        The peer must have authenticated by a certificate, and that must speak for the host it advertises
        (RFC 5923 8.2, 9.2): or whoever connects could have the requests that are meant for another.
        """
        certificate = peer_certificate(flow)
        if flow.transport is not Transport.TLS or certificate is None or flow not in self._keys:
            return False
        if not matches_domain(certificate, sent_by_host):
            return False
        self._put(flow, sent_by_port or flow.transport.default_port)
        return True

    def find(self, transport: Transport, address: str, port: int, *, server_name: str = "") -> Flow | None:
        """Return the newest flow that leads there and whose peer proved the name, or None."""
        for flow in reversed(self._flows.get((transport, address, port), ())):
            certificate = peer_certificate(flow)
            if not server_name or (certificate is not None and matches_domain(certificate, server_name)):
                return flow
        return None

    def remove(self, flow: Flow) -> None:
        """Forget a flow that has ended."""
        for key in self._keys.pop(flow, ()):
            flows = self._flows[key]
            flows.remove(flow)
            if not flows:
                del self._flows[key]

    def _put(self, flow: Flow, port: int) -> None:
        key = (flow.transport, flow.peer[0], port)
        if key not in self._keys[flow]:
            self._keys[flow].add(key)
            self._flows.setdefault(key, []).append(flow)
