"""The words of the command: what to take a server for, when TLS begins, how a finding is."""

from enum import StrEnum


class Protocol(StrEnum):
    """What to take the server for: the values of `--as`."""

    SIP = "sip"
    XMPP = "xmpp"
    XMPP_SERVER = "xmpp-server"
    BOSH = "bosh"
    HTTPS = "https"


class TlsMode(StrEnum):
    """When TLS begins: the values of `--tls`."""

    DIRECT = "direct"
    STARTTLS = "starttls"
    NONE = "none"


class Outcome(StrEnum):
    """How something that was looked at is."""

    OK = "ok"
    WRONG = "wrong"
    NOTE = "note"
