"""The errors of the lab. Everything that this project raises on purpose descends from `HarnessError`.

They live in the lowest package because imports point one way: scenarios, harness, proxies, certs. What a
peer may do, refusing us included, is an event or a verdict, not an error.
"""


class HarnessError(Exception):
    """The base of all errors of the lab. Its text names what was seen and what was allowed."""


class ConfigError(HarnessError):
    """A lab file, a setting or a command's argument is wrong; nothing was changed."""


class LocalProtocolError(HarnessError):
    """Our own code asked for something that the protocol forbids in this state."""


class RemoteProtocolError(HarnessError):
    """The peer broke a rule of the protocol."""

    def __init__(self, message: str, *, reply: str = "400") -> None:
        super().__init__(message)
        self.reply = reply
        "What to answer: a SIP status code, or the name of an XMPP stream error."


class CertificateError(HarnessError):
    """A certificate, key or CSR could not be made, read or stored. Never "the peer is not trusted"."""


class ConnectionFailed(HarnessError):  # noqa: N818 - DESIGN's word: it is what happened, not a bug
    """No connection to a peer: unreachable, reset, or its time ran out."""


class ScenarioFailed(HarnessError):  # noqa: N818 - as above
    """An expectation was not met."""

    def __init__(self, message: str, *, difference: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.difference = difference
        "Expected against seen, one a line."
        self.remedy = remedy
        "What a person can do next."
