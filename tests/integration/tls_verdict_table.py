"""Runs every handshake of the verdict table and writes it down as docs/tls-verdicts.md.

`python -m tests.integration.tls_verdict_table` makes the page anew; the test beside it compares.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import trustme

from certs.credential import Credential
from certs.verdict import Verdict
from certs.wrong import FAULTS, Role, WrongCertificate, WrongCertificates
from proxies.clock import LoopClock
from proxies.tls import PeerRefusedError, TlsClientSettings, TlsServerSettings, TlsVersion, TrustPolicy
from tests.integration.tls_peers import WAIT, Lab, listening

PAGE = Path(__file__).parents[2] / "docs" / "tls-verdicts.md"
HOST = "imp1.example"
VERSIONS = (TlsVersion.TLS_1_2, TlsVersion.TLS_1_3)

HEAD = """\
# What a refused handshake looks like

Made by `python -m tests.integration.tls_verdict_table` from real handshakes; a test fails when it is out of date.
The listener has peer authentication and one selected TLS peer subject; the client checks the host name. Every case
differs from the accepted one in one thing. "Later" means that a TLS 1.3 client reports the handshake complete and
learns of the refusal at its next read.

| case | version | what the server sees | what the client sees |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    case: str
    version: str
    server: str
    client: str

    def __str__(self) -> str:
        return f"| {self.case} | {self.version} | {self.server} | {self.client} |\n"


def describe(verdict: Verdict) -> str:
    parts = [f"**{verdict.reason}**"]
    if verdict.alert_sent:
        parts.append(f"sends `{verdict.alert_sent}`")
    if verdict.alert_received:
        parts.append(f"gets `{verdict.alert_received}`")
    if verdict.verify_code:
        parts.append(f"verify code {verdict.verify_code}")
    return ", ".join(parts)


class Table:
    """The certificates, and what runs one case."""

    def __init__(self) -> None:
        self.wrong = WrongCertificates(HOST, "127.9.1.1", now=datetime.now(UTC))
        self.good = self.wrong.issue_good()
        trust = TrustPolicy(certificates=(self.wrong.anchor_pem,), peer_subjects=frozenset({HOST}))
        self.server = TlsServerSettings(
            credential=self.good, require_client_certificate=True, trust=trust, handshake_timeout=0.2
        )
        self.client = TlsClientSettings(
            trust=TrustPolicy(certificates=(self.wrong.anchor_pem,)),
            credential=self.good,
            server_name=HOST,
            check_host_name=True,
        )

    async def rows(self) -> AsyncIterator[Row]:
        for version in VERSIONS:
            yield await self.shake_hands("good certificates on both sides", version)
            yield await self.shake_hands("client: no certificate", version, client=None)
            for fault in WrongCertificate:
                case = f"client: `{fault}`, {FAULTS[fault].description}"
                yield await self.shake_hands(case, version, client=self.wrong.issue(fault, Role.CLIENT))
            for fault in WrongCertificate:
                case = f"server: `{fault}`, {FAULTS[fault].description}"
                yield await self.shake_hands(case, version, server=self.wrong.issue(fault, Role.SERVER))
        yield await self.shake_hands("client offers only TLS 1.1", TlsVersion.TLS_1_1)
        yield await self.shake_hands(
            "no cipher suite in common", TlsVersion.TLS_1_2, ciphers="ECDHE+CHACHA20"
        )
        yield await self.speak("plain text on the TLS port", b"OPTIONS sip:imp1.example SIP/2.0\r\n\r\n")
        yield await self.speak("a TCP peer that says nothing", b"")
        yield await self.speak("a peer that stops inside its ClientHello", bytes.fromhex("16030100ff0100"))
        yield await self.leave("a peer that leaves at once")

    def lab(self) -> Lab:
        return Lab(trustme.CA(key_type=trustme.KeyType.ECDSA), LoopClock())

    async def shake_hands(
        self,
        case: str,
        version: TlsVersion,
        *,
        client: Credential | str | None = "good",
        server: Credential | None = None,
        ciphers: str = "",
    ) -> Row:
        lab = self.lab()
        listener = replace(
            self.server,
            credential=server or self.good,
            ciphers=ciphers,
        )
        dialler = replace(
            self.client,
            credential=client if not isinstance(client, str) else self.good,
            # OpenSSL offers TLS 1.1 only to those who ask for little.
            security_level=0 if version is TlsVersion.TLS_1_1 else 2,
            minimum_version=version,
            maximum_version=version,
            ciphers="ECDHE+AESGCM" if ciphers else "",
        )
        async with listening(listener, lab):
            verdict, caller = await lab.call(dialler)
            client_sees = describe(verdict)
            if caller is not None:
                async with asyncio.timeout(WAIT):
                    await asyncio.wait([caller.answer, caller.lost], return_when=asyncio.FIRST_COMPLETED)
                error = caller.lost.result() if caller.lost.done() else None
                if isinstance(error, PeerRefusedError):
                    client_sees = f"accepted; later {describe(error.verdict)}"
            return Row(case, version, describe(await lab.server_saw.verdict()), client_sees)

    async def speak(self, case: str, data: bytes) -> Row:
        lab = self.lab()
        async with listening(self.server, lab):
            reader, writer = await asyncio.open_connection(*lab.address)
            writer.write(data)
            answer = await reader.read()
            writer.close()
            client_sees = f"bytes `{answer.hex()}`, then the end" if answer else "the end of the connection"
            return Row(case, "", describe(await lab.server_saw.verdict()), client_sees)

    async def leave(self, case: str) -> Row:
        lab = self.lab()
        async with listening(self.server, lab):
            _, writer = await asyncio.open_connection(*lab.address)
            writer.close()
            return Row(case, "", describe(await lab.server_saw.verdict()), "")


async def make_page() -> str:
    return HEAD + "".join([str(row) async for row in Table().rows()])


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(make_page()), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} is up to date\n")
