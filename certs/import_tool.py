"""The Certificate Import Tool: fetch a peer's certificates and put them into a trust store (G13, G14)."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, cast

from certs.catalogue import explain
from certs.errors import CertificateError, ConnectionFailed
from certs.fips.approved import NotFipsApproved
from certs.handshake_messages import WatchedSslObject, watch_handshakes
from certs.key_store import KeyStore, TrustedCertificate
from certs.purposes import TrustStoreName
from certs.verdict import Reason

MANUAL_IMPORT: Final = (
    "Import the certificate by hand: Cisco Unified IM and Presence OS Administration > Security > "
    "Certificate Management > Upload Certificate."
)

_READ_SIZE: Final = 16 * 1024
_TLS_RECORDS: Final = (0x15, 0x16)  # alert and handshake, RFC 8446 5.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What the page shows after Submit: two results, told apart."""

    connected: bool
    "Whether the peer's port answered."

    downloaded: bool
    "Whether the peer showed a certificate and it is in the trust store now."

    imported: tuple[TrustedCertificate, ...] = ()
    "What was put into the trust store, the peer's own certificate first."

    reason: Reason = Reason.ACCEPTED
    "Why it failed; ACCEPTED where it did not."

    detail: str = ""
    "What was seen."

    remedy: str = ""
    "The recommended action."

    @property
    def subject(self) -> str:
        """The subject CN of the peer's own certificate; empty where none was downloaded."""
        return self.imported[0].certificate.common_name if self.imported else ""


class CertificateImportTool:
    """System > Security > Certificate Import Tool, on one node."""

    def __init__(
        self,
        key_store: KeyStore,
        *,
        resolve: Callable[[str], str],
        imported: Callable[[TrustStoreName, str, str], Awaitable[None]],
        local_address: str | None = None,
        timeout: float = 5.0,
    ) -> None:
        """Take the node's stores, how names become addresses, and who is told of an import.

        `imported` gets the store, the peer's subject CN and the address it was asked at: the node adds the
        TLS peer subject (G14). `timeout` is in seconds and bounds connecting and downloading each.
        """
        self._key_store = key_store
        self._resolve = resolve
        self._imported = imported
        self._local_address = local_address
        self._timeout = timeout

    async def submit(self, store: TrustStoreName, address: str, port: int) -> ImportReport:
        """Connect to a peer (IP address, host name or FQDN), download its certificates, store them."""
        try:
            async with asyncio.timeout(self._timeout):
                reader, writer = await asyncio.open_connection(
                    self._resolve(address),
                    port,
                    local_addr=(self._local_address, 0) if self._local_address else None,
                )
        except (OSError, ConnectionFailed) as error:
            why = str(error) or "no answer in time"
            return _failed(Reason.UNREACHABLE, f"{address}:{port}: {why}", connected=False)
        try:
            async with asyncio.timeout(self._timeout):
                chain = await _Probe(reader, writer).fetch_chain()
        except TimeoutError:
            return _failed(Reason.HANDSHAKE_TIMEOUT, f"{address}:{port} answered no handshake in time")
        except (OSError, ssl.SSLError, CertificateError) as error:
            return _failed(Reason.NOT_TLS, f"{address}:{port}: {error}")
        finally:
            writer.transport.abort()
        return await self._store(store, address, chain)

    async def _store(self, store: TrustStoreName, address: str, chain: tuple[bytes, ...]) -> ImportReport:
        pem = b"".join(ssl.DER_cert_to_PEM_cert(der).encode() for der in chain)
        try:
            imported = self._key_store.add_trust(store, pem)
        except NotFipsApproved as error:
            return _failed(Reason.NOT_FIPS_APPROVED, str(error))
        except CertificateError as error:
            return _failed(Reason.BAD_CERTIFICATE, str(error))
        await self._imported(store, imported[0].certificate.common_name, address)
        return ImportReport(connected=True, downloaded=True, imported=imported)


def _failed(reason: Reason, detail: str, *, connected: bool = True) -> ImportReport:
    remedy = f"{explain(reason).remedy} {MANUAL_IMPORT}"
    return ImportReport(connected=connected, downloaded=False, reason=reason, detail=detail, remedy=remedy)


class _Probe:
    """A handshake for the sake of the server's certificate, whatever becomes of it afterwards."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ssl_context.check_hostname = False
        ssl_context.verify_mode = ssl.CERT_NONE  # the tool's work is to fetch what is not trusted yet
        ssl_context.set_ciphers("ALL:@SECLEVEL=0")
        watch_handshakes(ssl_context)
        self._reader, self._writer = reader, writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = cast(WatchedSslObject, ssl_context.wrap_bio(self._incoming, self._outgoing))
        self._ssl.watcher = self
        self._chain: tuple[bytes, ...] | None = None

    def client_hello_received(self, message: bytes) -> None:
        """Never happens to a client."""

    def chain_presented(self, chain: tuple[bytes, ...]) -> None:
        """Keep the server's chain; a listener that asks for our certificate may refuse us after this."""
        self._chain = chain

    def alert_crossed(self, direction: Literal["read", "write"], name: str) -> None:
        """Mind no alert: the chain decides."""

    async def fetch_chain(self) -> tuple[bytes, ...]:
        """Return the server's chain in DER, its own certificate first."""
        answered = False
        while True:
            try:
                self._ssl.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                if not self._chain:
                    raise
            if self._chain:
                return self._chain
            self._writer.write(self._outgoing.read())
            data = await self._reader.read(_READ_SIZE)
            if not data:
                raise CertificateError("the peer closed the connection and showed no certificate")
            if not answered and data[0] not in _TLS_RECORDS:
                raise CertificateError(f"the peer answered the handshake with {data[:16]!r}, which is no TLS")
            answered = True
            self._incoming.write(data)
