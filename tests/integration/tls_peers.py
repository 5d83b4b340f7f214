"""Small peers for the TLS tests: a listener that echoes, a client that keeps what it got."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trustme

from certs.credential import Credential
from certs.verdict import Verdict
from proxies.clock import LoopClock
from proxies.observer import ConnectionInfo, NullObserver
from proxies.tls import (
    TlsClientSettings,
    TlsConnection,
    TlsListener,
    TlsServerSettings,
    TlsVersion,
    TrustPolicy,
    dial_tls,
    listen_tls,
)

SERVER, CLIENT = "127.9.1.1", "127.9.1.2"
WAIT = 5.0


def credential_of(certificate: trustme.LeafCert) -> Credential:
    chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    return Credential(chain_pem=chain, key_pem=certificate.private_key_pem.bytes())


def issue(authority: trustme.CA, name: str) -> Credential:
    certificate = authority.issue_cert(name, common_name=name, key_type=trustme.KeyType.ECDSA)
    return credential_of(certificate)


@dataclass
class Recorder(NullObserver):
    """Keeps verdicts and lets a test wait for them."""

    verdicts: list[Verdict] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    opened_once: asyncio.Event = field(default_factory=asyncio.Event)

    def opened(self, connection: ConnectionInfo) -> None:
        self.opened_once.set()

    async def connection(self) -> None:
        async with asyncio.timeout(WAIT):
            await self.opened_once.wait()

    def judged(self, connection: ConnectionInfo, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        self.changed.set()

    async def verdict(self, number: int = 0) -> Verdict:
        async with asyncio.timeout(WAIT):
            while len(self.verdicts) <= number:
                self.changed.clear()
                await self.changed.wait()
        return self.verdicts[number]


class Echo(asyncio.Protocol):
    def __init__(self, connection: TlsConnection) -> None:
        self.connection = connection

    def data_received(self, data: bytes) -> None:
        self.connection.write(data)


class Caller(asyncio.Protocol):
    """Says hello and keeps the answer, or the error that ended the connection."""

    def __init__(self, connection: TlsConnection) -> None:
        self.connection = connection
        self.received = bytearray()
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        connection.write(b"hello")

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.answer.done():
            self.answer.set_result(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)
        self.answer.cancel()


@dataclass
class Lab:
    """A certificate authority, a clock, a listener and what both sides saw."""

    authority: trustme.CA
    clock: LoopClock
    server_saw: Recorder = field(default_factory=Recorder)
    client_saw: Recorder = field(default_factory=Recorder)
    listener: TlsListener | None = None
    callers: list[Caller] = field(default_factory=list)

    @property
    def anchor(self) -> bytes:
        return self.authority.cert_pem.bytes()

    @property
    def address(self) -> tuple[str, int]:
        assert self.listener is not None
        return self.listener.address

    async def call(self, settings: TlsClientSettings) -> tuple[Verdict, Caller | None]:
        dialled = await dial_tls(
            settings,
            *self.address,
            protocol_factory=Caller,
            describe=describe("caller"),
            clock=self.clock,
            observer=self.client_saw,
            local_address=CLIENT,
        )
        assert dialled.protocol is None or isinstance(dialled.protocol, Caller)
        if dialled.protocol is not None:
            self.callers.append(dialled.protocol)
        return dialled.verdict, dialled.protocol

    def client(self, version: TlsVersion, credential: Credential | None) -> TlsClientSettings:
        return TlsClientSettings(
            trust=TrustPolicy(certificates=(self.anchor,)),
            credential=credential,
            server_name="imp1.example",
            check_host_name=True,
            minimum_version=version,
            maximum_version=version,
        )


def describe(service: str):  # type: ignore[no-untyped-def]
    def name(local: tuple[str, int], peer: tuple[str, int]) -> ConnectionInfo:
        return ConnectionInfo(
            id=f"{service} {peer[1]}",
            node="imp1",
            service=service,
            listener="test",
            transport="TLS",
            local=local,
            peer=peer,
        )

    return name


@asynccontextmanager
async def listening(settings: TlsServerSettings, lab: Lab, port: int = 0) -> AsyncIterator[TlsListener]:
    listener = await listen_tls(
        settings,
        SERVER,
        port,
        protocol_factory=Echo,
        describe=describe("sip-proxy"),
        clock=lab.clock,
        observer=lab.server_saw,
    )
    lab.listener = listener
    try:
        yield listener
    finally:
        await listener.close()
        async with asyncio.timeout(WAIT):
            await asyncio.gather(*(caller.lost for caller in lab.callers))
