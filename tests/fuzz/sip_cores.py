"""SIP cores as targets: framing, parsing, header values, presence documents, and a proxy behind them."""

import contextlib
from random import Random
from typing import Final

from certs.errors import RemoteProtocolError
from proxies.sip.messages.digest import DigestChallenger, DigestSettings, parse_auth
from proxies.sip.messages.framing import StreamFramer, parse_datagram
from proxies.sip.messages.message import Request, Response, split_values
from proxies.sip.messages.pidf import encode_pidf, parse_pidf
from proxies.sip.messages.routing_uri import parse_routing_uri
from tests.fuzz.mutation import mutate, pieces
from tests.proxies.sip.proxy.manual_proxy import ManualProxy, to_both


def _message(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


MESSAGES: Final = [
    _message("""\
MESSAGE sip:bob@example.com SIP/2.0
Via: SIP/2.0/TCP 127.0.0.2:5060;branch=z9hG4bK1;rport
Max-Forwards: 70
From: Alice <sip:alice@example.com>;tag=a1
To: <sip:bob@example.com>
Call-ID: call-1
CSeq: 1 MESSAGE
Content-Type: text/plain
Content-Length: 5

hello"""),
    _message("""\
INVITE sip:bob@example.com SIP/2.0
v: SIP/2.0/TCP 127.0.0.2;branch=z9hG4bK2
Max-Forwards: 0
f: <sip:alice@example.com>;tag=a1
t: <sip:bob@example.com>
i: call-2
CSeq: 1 INVITE
m: <sip:alice@127.0.0.2;transport=tcp>
Record-Route: <sip:127.0.0.9;lr>, <sip:127.0.0.8;lr>
l: 0

"""),
    _message("""\
CANCEL sip:bob@example.com SIP/2.0
Via: SIP/2.0/TCP 127.0.0.2;branch=z9hG4bK2
Max-Forwards: 70
From: <sip:alice@example.com>;tag=a1
To: <sip:bob@example.com>
Call-ID: call-2
CSeq: 1 CANCEL
Route: <sip:127.0.0.1;lr>
Content-Length: 0

"""),
    _message("""\
ACK sip:bob@127.0.0.3 SIP/2.0
Via: SIP/2.0/TCP 127.0.0.2;branch=z9hG4bK3
Max-Forwards: 70
From: <sip:alice@example.com>;tag=a1
To: <sip:bob@example.com>;tag=b1
Call-ID: call-2
CSeq: 1 ACK

"""),
    _message("""\
SUBSCRIBE sip:bob@example.com SIP/2.0
Via: SIP/2.0/TCP 127.0.0.2;branch=z9hG4bK4
Max-Forwards: 70
From: <sip:alice@example.com>;tag=a1
To: <sip:bob@example.com>
Call-ID: call-4
CSeq: 1 SUBSCRIBE
Event: presence
Expires: 3600
Accept: application/pidf+xml
Contact: <sip:alice@127.0.0.2>
Authorization: Digest username="alice",realm="example.com",nonce="n",uri="sip:bob@example.com",
 response="0",algorithm=MD5,qop=auth,nc=00000001,cnonce="c"
Content-Length: 0

"""),
    _message("""\
SIP/2.0 200 OK
Via: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bKx, SIP/2.0/TCP 127.0.0.2;branch=z9hG4bK1
From: <sip:alice@example.com>;tag=a1
To: <sip:bob@example.com>;tag=b
Call-ID: call-1
CSeq: 1 MESSAGE
Content-Length: 0

"""),
    b"\r\n\r\n",
]
"Messages as they came."

WORDS: Final = [
    b"\r\n",
    b"\r\n ",
    b": ",
    b", ",
    b";",
    b"sip:",
    b"sips:",
    b"tel:+1",
    b"<",
    b">",
    b'"',
    b'\\"',
    b";lr",
    b";tag=",
    b";branch=z9hG4bK",
    b"SIP/2.0",
    b"SIP/3.0",
    b"SIP/2.0/UDP [::1]:5060",
    b"Content-Length: 4294967296\r\n",
    b"Content-Length: -1\r\n",
    b"l: 3\r\n",
    b"Via: \r\n",
    b"CSeq: 99999999999 INVITE\r\n",
    b"Max-Forwards: 256\r\n",
    b"Contact: *\r\n",
    b"Digest ",
    b"nc=",
    b"%00",
    b"%",
]
"Words that messages are made of."

_PIDF: Final = [
    b"<?xml version='1.0'?><presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:a@b'><tuple id='t'><status>"
    b"<basic>open</basic></status><contact priority='0.8'>sip:a@b</contact><note>hi</note></tuple></presence>"
]
_PIDF_WORDS: Final = [b"<", b"&a;", b"<!DOCTYPE a>", b"</tuple>", b" xmlns=''"]
_URIS: Final = [b"sip:alice@example.com:5060;transport=tcp;lr?a=b", b"sips:[::1]", b"tel:+1-2", b"<sip:a@b>"]
_CREDENTIALS: Final = [
    b'Digest username="alice",realm="example.com",nonce="0.abc",uri="sip:b",response="0",algorithm=MD5,qop=auth,'
    b'nc=00000001,cnonce="c"'
]


def framing(rng: Random) -> None:
    """A stream of messages, cut anyhow; what comes out goes out again byte for byte."""
    data = b"".join(mutate(rng, MESSAGES, WORDS) for _ in range(rng.randint(1, 3)))
    framer = StreamFramer(dialled=rng.random() < 0.5)
    try:
        for piece in pieces(rng, data):
            framer.receive_data(piece)
            while (event := framer.next_event()) is not None:
                if isinstance(event, Request | Response):
                    event.encode()
        framer.receive_eof()
        while framer.next_event() is not None:
            pass
    except RemoteProtocolError:
        pass


def parsing(rng: Random) -> None:
    """A datagram, and the values in it."""
    try:
        message = parse_datagram(mutate(rng, MESSAGES, WORDS))
    except RemoteProtocolError:
        return
    again = parse_datagram(message.encode())
    assert again.encode() == message.encode()
    for field in message.fields:
        split_values(field.value)
        for parse in (parse_routing_uri, parse_auth):
            with contextlib.suppress(RemoteProtocolError):
                parse(field.value)


def values(rng: Random) -> None:
    """URIs, digests and presence documents."""
    challenger = DigestChallenger(DigestSettings(realm="example.com"), key=b"s" * 32)
    credentials = mutate(rng, _CREDENTIALS, WORDS).decode("utf-8", "replace")
    for run in (
        lambda: parse_routing_uri(mutate(rng, _URIS, WORDS).decode("utf-8", "replace")),
        lambda: encode_pidf(parse_pidf(mutate(rng, _PIDF, _PIDF_WORDS))),
        lambda: challenger.judge(
            [credentials], method="SUBSCRIBE", body=b"", password_of=lambda name: "secret", now=0.0
        ),
    ):
        with contextlib.suppress(RemoteProtocolError):
            run()


def proxy(rng: Random) -> None:
    """A proxy that gets any request and any answer, and time that passes."""
    proxy = ManualProxy(to_both)
    for _ in range(rng.randint(1, 5)):
        try:
            message = parse_datagram(
                mutate(rng, MESSAGES, WORDS) if rng.random() < 0.8 else rng.choice(MESSAGES)
            )
        except RemoteProtocolError:
            continue
        sent = proxy.receive(message)
        for outgoing in sent[:2]:
            passed_on = parse_datagram(outgoing.wire)  # what we send can be read
            if isinstance(passed_on, Request) and rng.random() < 0.5:
                with contextlib.suppress(RemoteProtocolError):
                    proxy.receive(parse_datagram(mutate(rng, [_answer(passed_on)], WORDS)))
        proxy.wait(rng.choice((0.0, 1.0, 40.0)))
    proxy.wait(400.0)


def _answer(request: Request) -> bytes:
    response = Response(
        200,
        "OK",
        [field for field in request.fields if field.name in ("Via", "From", "To", "Call-ID", "CSeq")],
    )
    return response.encode()
