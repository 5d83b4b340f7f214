"""A federation stream that came in, without its socket: bytes in, bytes out, and what reached router and ledger."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from certs.credential import Credential
from certs.errors import RemoteProtocolError
from certs.issuing import CertificateSpec, KeyAlgorithm, issue_self_signed, make_key
from certs.presented import leaf_der, parse_presented
from certs.verdict import Reason, Side, Verdict
from proxies.observer import ConnectionInfo, NullObserver
from proxies.xmpp.conditions import StreamErrorCondition
from proxies.xmpp.federation.dialback import DomainPair
from proxies.xmpp.federation.identity import FederationVerdicts
from proxies.xmpp.federation.inbound import Accepting, InboundStream
from proxies.xmpp.federation.outbound import KeyAnswer
from proxies.xmpp.federation.settings import FederationPolicy, FederationSettings
from proxies.xmpp.router.attachment import RouterAttachment
from proxies.xmpp.stanza import Stanza
from proxies.xmpp.streams.receiving import ReceivingStream
from proxies.xmpp.streams.settings import ReceivingSettings, StreamKind
from proxies.xmpp.streams.state import StreamState

LOCAL = frozenset({"lab.example", "rooms.lab.example"})
HEADER = (
    "<?xml version='1.0'?><stream:stream from='{sender}' to='lab.example' version='1.0' xmlns='jabber:server' "
    "xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>"
)
EXTERNAL = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"


def certificate(domain: str) -> Credential:
    spec = CertificateSpec.for_node(f"imp1.{domain}", "127.0.0.1", now=datetime.now(UTC), domain=domain)
    return issue_self_signed(spec, make_key(KeyAlgorithm.EC_P256))


def handshake(credential: Credential | None, *, disbelieved: Reason | None = None) -> Verdict:
    chain = (parse_presented(leaf_der(credential.chain_pem)),) if credential is not None else ()
    return Verdict(
        accepted=True,
        reason=Reason.ACCEPTED,
        side=Side.SERVER,
        presented_chain=chain,
        disbelieved=disbelieved,
    )


class Router:
    """Takes what came through."""

    def __init__(self) -> None:
        self.routed: list[str] = []

    def route(self, stanza: Stanza) -> None:
        self.routed.append(stanza.encode().decode())


class Judgements(NullObserver):
    def __init__(self) -> None:
        self.reasons: list[Reason] = []

    def judged(self, connection: ConnectionInfo, verdict: Verdict) -> None:
        self.reasons.append(verdict.reason)


@dataclass
class Asked:
    """A key that is to be verified."""

    pair: DomainPair
    stream_id: str
    key: str
    answered: KeyAnswer


class Inbound:
    """One end of a stream; the test is the other server."""

    def __init__(
        self,
        policy: FederationPolicy | None = None,
        *,
        tls: Verdict | None = None,
        sender: str = "capulet.example",
        has_router: bool = True,
    ) -> None:
        self.policy = policy or FederationPolicy()
        self.router = Router()
        self.ledger = Judgements()
        self.asked: list[Asked] = []
        self.connection = ConnectionInfo(
            id="imp1 test", node="imp1", service="federation", listener="test", transport="TCP",
            local=("127.0.0.1", 5269), peer=("127.0.0.1", 9),
        )  # fmt: skip
        attachment = RouterAttachment()
        attachment.router = cast(Any, self.router) if has_router else None
        settings = FederationSettings(
            node="imp1", address="127.0.0.1", domains=LOCAL, policy=self.policy, dialback_secret="ours",
            credential=Credential(chain_pem=b"", key_pem=b""), trusted=(),
        )  # fmt: skip
        accepting = Accepting(
            settings=settings,
            tls=cast(Any, None),
            verdicts=FederationVerdicts(self.ledger, "imp1"),
            attachment=attachment,
            local_domains=lambda: LOCAL,
            verify=lambda *asked: self.asked.append(Asked(*asked)),
        )
        self.owner = InboundStream(cast(Any, self), accepting)
        self.stream = ReceivingStream(
            ReceivingSettings(
                kind=StreamKind.SERVER,
                domains=LOCAL,
                tls=self.policy.tls_offer,
                dialback=True,
                resumption_time=0,
            ),
            now=0,
            make_sasl=self.owner.make_sasl,
            secure=tls is not None,
        )
        if tls is not None:
            self.owner.secured(tls)
        self.sender = sender
        self.opened = self.say(HEADER.format(sender=sender))

    def say(self, text: str) -> str:
        """Send to the server and return what it answers."""
        self.stream.receive_data(text.encode())
        return self.flush()

    def flush(self) -> str:
        try:
            while (event := self.stream.next_event()) is not None:
                self.owner.handle(event)
        except RemoteProtocolError as error:
            self.owner.broken(error)
        return self.stream.data_to_send().decode()

    def log_in(self) -> str:
        return self.say(EXTERNAL) + self.say(HEADER.format(sender=self.sender))

    @property
    def is_over(self) -> bool:
        return self.stream.state in (StreamState.CLOSED, StreamState.CLOSING)

    # What the owner needs of a carrier.

    def fail(self, condition: StreamErrorCondition, text: str = "") -> None:
        self.stream.fail(condition, text)

    def close(self) -> None:
        self.stream.close(now=0)

    def flush_soon(self) -> None:
        pass


@dataclass
class Names:
    """The names of a test."""

    hosts: dict[str, str] = field(default_factory=dict)
    servers: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)

    def address_of(self, name: str) -> str | None:
        return self.hosts.get(name)

    def xmpp_servers_of(self, domain: str) -> tuple[tuple[str, int], ...]:
        return self.servers.get(domain, ())
