"""What a DNS question is answered (RFC 1035 4.1, RFC 2308): bytes in, bytes out."""

from typing import Final

from dnslib import CLASS, EDNS0, OPCODE, QTYPE, RCODE, RR, DNSError, DNSHeader, DNSRecord  # type: ignore[import-untyped]

from harness.endpoint.dns.zones import Zones

PLAIN_UDP_SIZE: Final = 512
"Bytes of an answer over UDP to who does not say otherwise (RFC 1035 4.2.1)."

UDP_SIZE: Final = 1232
"Bytes of an answer over UDP that we send and take at most (the usual choice for EDNS, RFC 6891 6.2.5)."

_BAD_VERSION: Final = 1
"The upper bits of BADVERS (RFC 6891 6.1.3)."

_HEADER: Final = 12
_RESPONSE_BIT: Final = 0x80


class Resolver:
    """Answers with authority for the lab's zones and refuses all others: it asks nobody else."""

    def __init__(self, zones: Zones) -> None:
        self._zones = zones

    def answer(self, query: bytes, *, udp: bool) -> bytes | None:
        """Return the answer to a query; None where it is none, or cannot even be told from whom."""
        if len(query) < _HEADER or query[2] & _RESPONSE_BIT:
            return None  # answers are not answered: two servers would go on for ever
        try:
            request = DNSRecord.parse(query)
        except (DNSError, ValueError, IndexError):
            return _format_error(query)
        size = PLAIN_UDP_SIZE
        edns = next((each for each in request.ar if each.rtype == QTYPE.OPT), None)
        if edns is not None and edns.edns_ver > 0:
            reply = request.reply(ra=0, aa=0)
            reply.add_ar(EDNS0(ext_rcode=_BAD_VERSION, udp_len=UDP_SIZE))
        else:
            reply = self._reply_to(request)
            if edns is not None:
                size = max(PLAIN_UDP_SIZE, min(edns.edns_len, UDP_SIZE))
                reply.add_ar(EDNS0(udp_len=UDP_SIZE))
        packed = bytes(reply.pack())
        if udp and len(packed) > size:
            return bytes(_truncated(reply).pack())  # the client comes again over TCP (RFC 1035 4.2.1)
        return packed

    def _reply_to(self, request: DNSRecord) -> DNSRecord:
        reply = request.reply(ra=0, aa=0)
        if request.header.opcode != OPCODE.QUERY:
            reply.header.rcode = RCODE.NOTIMP
        elif len(request.questions) != 1:
            reply.header.rcode = RCODE.FORMERR
        elif request.q.qclass != CLASS.IN or self._origin(request) is None:
            reply.header.rcode = RCODE.REFUSED
        else:
            self._answer_with_authority(request, reply)
        return reply

    def _origin(self, request: DNSRecord) -> str | None:
        return self._zones.origin_of(_name(request))

    def _answer_with_authority(self, request: DNSRecord, reply: DNSRecord) -> None:
        name, wanted = _name(request), request.q.qtype
        reply.header.aa = 1
        found = [
            record for record in self._zones.records.get(name, ()) if wanted in (QTYPE.ANY, record.rtype)
        ]
        if not found:
            # NODATA where the name is there, NXDOMAIN where it is not; the SOA says for how long (RFC 2308 2).
            if not self._zones.exists(name):
                reply.header.rcode = RCODE.NXDOMAIN
            reply.add_auth(self._soa(self._origin(request) or ""))
            return
        for record in found:
            # The owner's name is written as it was asked for: some clients compare it letter by letter.
            reply.add_answer(RR(request.q.qname, record.rtype, record.rclass, record.ttl, record.rdata))
        for target in dict.fromkeys(
            str(record.rdata.target) for record in found if record.rtype == QTYPE.SRV
        ):
            for record in self._zones.records.get(target.rstrip(".").lower(), ()):
                if record.rtype == QTYPE.A:
                    reply.add_ar(record)

    def _soa(self, origin: str) -> RR:
        return next(record for record in self._zones.records[origin] if record.rtype == QTYPE.SOA)


def _name(request: DNSRecord) -> str:
    return str(request.q.qname).rstrip(".").lower()


def _truncated(reply: DNSRecord) -> DNSRecord:
    header = DNSHeader(id=reply.header.id, bitmap=reply.header.bitmap, tc=1)
    return DNSRecord(header, questions=reply.questions)


def _format_error(query: bytes) -> bytes:
    """Return FORMERR for a query of which only the header can be read."""
    header = DNSHeader(id=int.from_bytes(query[:2]), qr=1, rcode=RCODE.FORMERR)
    return bytes(DNSRecord(header).pack())
