"""A SIP client of a few lines over TCP: sends requests one after the other and prints what it is answered."""

import socket
import sys
import uuid
from pathlib import Path


def sip_requests(env: dict[str, str], *methods: str) -> tuple[str, ...]:
    """Return the command that sends these requests to imp1 in alice's name."""
    where = env["IMP_IMP1_ADDRESS"], env["IMP_IMP1_SIP_PORT"]
    return (sys.executable, str(Path(__file__)), *where, env["IMP_USER_ALICE_JID"], *methods)


def main(address: str, port: str, jid: str, *methods: str) -> None:
    call = uuid.uuid4().hex
    with socket.create_connection((address, int(port)), timeout=20) as connection:
        local = "{}:{}".format(*connection.getsockname())
        for number, method in enumerate(methods, start=1):
            domain = jid.partition("@")[2]
            to = f"sip:{domain}" if method in ("REGISTER", "OPTIONS") else f"sip:{jid}"
            lines = [
                f"{method} {to} SIP/2.0",
                f"Via: SIP/2.0/TCP {local};branch=z9hG4bK{call}{number}",
                "Max-Forwards: 70",
                f"From: <sip:{jid}>;tag={call[:8]}",
                f"To: <{f'sip:{jid}' if method == 'REGISTER' else to}>",
                f"Call-ID: {call}",
                f"CSeq: {number} {method}",
                f"Contact: <sip:{jid.partition('@')[0]}@{local};transport=tcp>",
                *(["Event: presence", "Accept: application/pidf+xml"] if method == "SUBSCRIBE" else []),
                "Content-Length: 0",
            ]
            connection.sendall("\r\n".join((*lines, "", "")).encode())
            print(connection.recv(65536).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
