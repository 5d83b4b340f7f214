"""One node's SIP proxy and presence engine on a loopback address, and user agents beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

import trustme

from certs.credential import Credential
from proxies.clock import LoopClock
from proxies.sip.agent.user_agent import UserAgent, UserAgentSettings
from proxies.sip.presence.presence_engine import PresenceEngine, PresenceEngineSettings
from proxies.sip.proxy.sip_proxy import SipProxy
from proxies.sip.proxy.sip_proxy_settings import SipProxySettings
from proxies.sip.transport.flow import Destination, Transport
from proxies.tls import TlsClientSettings, TrustPolicy
from tests.integration.recording import LabNames, RecordingObserver
from tests.integration.tls_peers import issue

ADDRESS = "127.9.3.1"
FQDN = "imp1.lab.example"
DOMAIN = "lab.example"
CLIENTS = MappingProxyType({"alice": "127.9.3.11", "bob": "127.9.3.12"})
PORTS = MappingProxyType({Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5062})


@dataclass
class SipNode:
    """What the user agents of a test share."""

    authority: trustme.CA = field(default_factory=lambda: trustme.CA(key_type=trustme.KeyType.ECDSA))
    clock: LoopClock = field(default_factory=LoopClock)
    observer: RecordingObserver = field(default_factory=RecordingObserver)

    @property
    def trust(self) -> TrustPolicy:
        return TrustPolicy(
            certificates=(self.authority.cert_pem.bytes(),),
            peer_subjects=frozenset({FQDN, "alice.lab.example", "bob.lab.example"}),
        )

    @asynccontextmanager
    async def running(self, *, access_list: tuple[str, ...] = ("127.9.3.0/24",)) -> AsyncIterator[None]:
        credential = issue(self.authority, FQDN)
        engine_at = Destination(transport=Transport.TCP, host=ADDRESS, port=5080)
        proxy = SipProxy(
            SipProxySettings(
                node="imp1",
                fqdn=FQDN,
                address=ADDRESS,
                domains=frozenset({DOMAIN}),
                credential=credential,
                server_auth_credential=credential,
                trust=self.trust,
                incoming_access_list=access_list,
                users=MappingProxyType({"alice": "imp1", "bob": "imp1"}),
                presence_engine=engine_at,
            ),
            clock=self.clock,
            resolver=LabNames({FQDN: ADDRESS}),
            observer=self.observer,
        )
        engine = PresenceEngine(
            PresenceEngineSettings(
                node="imp1",
                address=ADDRESS,
                domains=frozenset({DOMAIN}),
                users=frozenset({"alice", "bob"}),
                credential=credential,
                trust=self.trust,
                sip_proxy=Destination(transport=Transport.TCP, host=ADDRESS, port=5060),
            ),
            clock=self.clock,
            resolver=LabNames({FQDN: ADDRESS}),
            observer=self.observer,
        )
        await engine.start()
        await proxy.start()
        try:
            yield
        finally:
            await proxy.stop()
            await engine.stop()

    def agent(
        self,
        user: str,
        transport: Transport,
        *,
        port: int | None = None,
        credential: Credential | None = None,
    ) -> UserAgent:
        tls = TlsClientSettings(
            trust=TrustPolicy(certificates=(self.authority.cert_pem.bytes(),)),
            credential=credential or issue(self.authority, f"{user}.lab.example"),
            server_name=FQDN,
            check_host_name=True,
        )
        return UserAgent(
            UserAgentSettings(
                uri=f"sip:{user}@{DOMAIN}",
                address=CLIENTS[user],
                outbound_proxy=Destination(transport=transport, host=ADDRESS, port=port or PORTS[transport]),
                tls_client=tls,
                time_limit=3.0,
            ),
            clock=self.clock,
            resolver=LabNames({FQDN: ADDRESS}),
            observer=self.observer,
        )
