"""Digest authentication at both ends (RFC 3261 22, RFC 8760; the computation is RFC 7616 3.4).

The server keeps no table of nonces: each carries its time, signed by a key of this process. Against replay it
remembers the highest nonce count of a bounded number of nonces.
"""

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from certs.errors import RemoteProtocolError
from certs.fips.mode import in_fips_mode


class DigestAlgorithm(StrEnum):
    """The algorithms of RFC 8760 2.1, the strongest first; each also as a session variant."""

    SHA_512_256 = "SHA-512-256"
    SHA_256 = "SHA-256"
    MD5 = "MD5"


class Qop(StrEnum):
    """The quality of protection: with or without the body (RFC 7616 3.3)."""

    AUTH = "auth"
    AUTH_INT = "auth-int"


_HASHES: Final[Mapping[DigestAlgorithm, str]] = {
    DigestAlgorithm.SHA_512_256: "sha512_256",
    DigestAlgorithm.SHA_256: "sha256",
    DigestAlgorithm.MD5: "md5",
}
_STRENGTH: Final = [algorithm.value for algorithm in DigestAlgorithm]
_SESSION: Final = "-SESS"

_PARAMETER: Final = re.compile(r'\s*([\w!%*+.`\'~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*(?:,|$)')
_QUOTED: Final = frozenset({"username", "realm", "nonce", "uri", "response", "cnonce", "opaque", "domain"})
_MAXIMUM_PARAMETERS: Final = 32


def parse_auth(value: str) -> tuple[str, dict[str, str]]:
    """Return scheme and parameters of a challenge or of credentials, quotes and escapes undone.

    Raises RemoteProtocolError where it is neither.
    """
    scheme, _, rest = value.strip().partition(" ")
    parameters: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None or len(parameters) >= _MAXIMUM_PARAMETERS:
            raise RemoteProtocolError(f"not an authentication parameter: {rest[position : position + 40]!r}")
        name, quoted, token = match.groups()
        if name.lower() in parameters:
            raise RemoteProtocolError(f"the authentication parameter {name} comes twice")
        parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else token
        position = match.end()
    if not parameters:
        raise RemoteProtocolError(f"{scheme!r} comes without parameters")
    return scheme, parameters


def encode_auth(parameters: Mapping[str, str], *, quote_qop: bool = False) -> str:
    """Return a Digest challenge or credentials; in a challenge `qop` is a quoted list (RFC 7616 3.3)."""
    quoted = _QUOTED | {"qop"} if quote_qop else _QUOTED
    parts = []
    for name, value in parameters.items():
        if name in quoted:
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'{name}="{escaped}"')
        else:
            parts.append(f"{name}={value}")
    return "Digest " + ", ".join(parts)


def digest_response(
    *,
    algorithm: str,
    username: str,
    realm: str,
    password: str,
    method: str,
    uri: str,
    nonce: str,
    cnonce: str = "",
    nonce_count: str = "",
    qop: str = "",
    body: bytes = b"",
) -> str:
    """Return the `response` parameter (RFC 7616 3.4.1); without `qop` as RFC 2069 clients do.

    Raises RemoteProtocolError where the algorithm is not known.
    """
    name, is_session = _split_algorithm(algorithm)

    def digest(text: str) -> str:
        return _hash(name, text.encode())

    a1 = digest(f"{username}:{realm}:{password}")
    if is_session:
        a1 = digest(f"{a1}:{nonce}:{cnonce}")
    a2 = f"{method}:{uri}"
    if qop == Qop.AUTH_INT:
        a2 += f":{_hash(name, body)}"
    if not qop:
        return digest(f"{a1}:{nonce}:{digest(a2)}")
    return digest(f"{a1}:{nonce}:{nonce_count}:{cnonce}:{qop}:{digest(a2)}")


def _split_algorithm(algorithm: str) -> tuple[DigestAlgorithm, bool]:
    upper = algorithm.upper()
    try:
        return DigestAlgorithm(upper.removesuffix(_SESSION)), upper.endswith(_SESSION)
    except ValueError:
        raise RemoteProtocolError(f"the digest algorithm {algorithm!r} is not known") from None


def _hash(algorithm: DigestAlgorithm, data: bytes) -> str:
    if algorithm is DigestAlgorithm.MD5 and in_fips_mode():
        # hashlib has an MD5 of its own, which OpenSSL's mode does not reach.
        raise RemoteProtocolError("the digest algorithm MD5 is not FIPS-approved")
    return hashlib.new(_HASHES[algorithm], data, usedforsecurity=False).hexdigest()


# The client's side.


def answer_challenge(
    challenges: Iterable[str],
    *,
    username: str,
    password: str,
    method: str,
    uri: str,
    body: bytes = b"",
    cnonce: str = "",
    insist_on: DigestAlgorithm | None = None,
) -> str:
    """Return credentials for the strongest challenge that is understood (RFC 8760 2.4).

    `insist_on` answers by one algorithm, offered or not: what a server must not take. Raises RemoteProtocolError
    where no challenge is understood.
    """
    best: dict[str, str] | None = None
    best_rank = len(_STRENGTH)
    for challenge in challenges:
        scheme, parameters = parse_auth(challenge)
        name = parameters.get("algorithm", DigestAlgorithm.MD5).upper().removesuffix(_SESSION)
        if scheme.lower() != "digest" or name not in _STRENGTH or not _qops(parameters):
            continue
        rank = _STRENGTH.index(name)
        if rank < best_rank:
            best, best_rank = parameters, rank
    if best is None:
        raise RemoteProtocolError("no challenge is Digest with an algorithm and qop that are understood")
    algorithm, nonce, realm = best.get("algorithm", ""), best.get("nonce", ""), best.get("realm", "")
    if insist_on is not None:
        algorithm = insist_on
    qop = _qops(best)[0]
    cnonce = cnonce or secrets.token_hex(8)
    nonce_count = "00000001"
    response = digest_response(
        algorithm=algorithm or DigestAlgorithm.MD5,
        username=username,
        realm=realm,
        password=password,
        method=method,
        uri=uri,
        nonce=nonce,
        cnonce=cnonce,
        nonce_count=nonce_count,
        qop=qop,
        body=body,
    )
    credentials = {"username": username, "realm": realm, "nonce": nonce, "uri": uri, "response": response}
    if algorithm:
        credentials["algorithm"] = algorithm
    if qop:
        credentials |= {"qop": qop, "cnonce": cnonce, "nc": nonce_count}
    if "opaque" in best:
        credentials["opaque"] = best["opaque"]
    return encode_auth(credentials)


def _qops(parameters: Mapping[str, str]) -> list[str]:
    """Return the offered qop values that are understood, `auth` first; [""] where none is offered."""
    if "qop" not in parameters:
        return [""]
    offered = {option.strip().lower() for option in parameters["qop"].split(",")}
    return [qop.value for qop in Qop if qop in offered]


# The server's side.


class AuthOutcome(StrEnum):
    """How credentials were judged."""

    ACCEPTED = "accepted"
    MISSING = "no credentials for this realm"
    STALE = "the nonce is too old"
    REPLAYED = "the nonce count was used before"
    WRONG = "wrong user name or password"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestSettings:
    """What a server asks for."""

    realm: str
    "The protection space, shown to the user."

    algorithms: Sequence[DigestAlgorithm] = (DigestAlgorithm.SHA_256, DigestAlgorithm.MD5)
    "One challenge each, in this order (RFC 8760 2.3)."

    qops: Sequence[Qop] = (Qop.AUTH, Qop.AUTH_INT)
    "What is offered."

    nonce_lifetime: float = 300.0
    "Seconds until a nonce is stale."

    maximum_nonces: int = 10_000
    "Nonces whose counts are remembered; the one unused longest is forgotten, and is stale then."


@dataclass(slots=True)
class DigestChallenger:
    """Makes challenges and judges credentials; time is an argument, in monotonic seconds."""

    settings: DigestSettings
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _counts: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def challenges(self, *, now: float, stale: bool = False) -> list[str]:
        """Return the values of WWW-Authenticate or Proxy-Authenticate, one an algorithm."""
        nonce = self._make_nonce(now)
        self._counts[nonce] = 0
        if len(self._counts) > self.settings.maximum_nonces:
            self._counts.popitem(last=False)
        common = {"realm": self.settings.realm, "nonce": nonce, "qop": ",".join(self.settings.qops)}
        if stale:
            common["stale"] = "true"
        return [
            encode_auth(common | {"algorithm": algorithm}, quote_qop=True)
            for algorithm in self.settings.algorithms
        ]

    def judge(
        self,
        values: Iterable[str],
        *,
        method: str,
        body: bytes,
        password_of: Callable[[str], str | None],
        now: float,
    ) -> tuple[AuthOutcome, str]:
        """Judge the values of Authorization; return the outcome and the user name.

        `password_of` gives a user's password or None. Raises RemoteProtocolError where a value is malformed.
        """
        for value in values:
            scheme, parameters = parse_auth(value)
            if scheme.lower() == "digest" and parameters.get("realm") == self.settings.realm:
                username = parameters.get("username", "")
                return self._judge(parameters, method, body, password_of(username), now), username
        return AuthOutcome.MISSING, ""

    def _judge(
        self, given: Mapping[str, str], method: str, body: bytes, password: str | None, now: float
    ) -> AuthOutcome:
        nonce, qop = given.get("nonce", ""), given.get("qop", "")
        algorithm = given.get("algorithm", DigestAlgorithm.MD5)
        offered = {option.value for option in self.settings.algorithms}
        # What was not offered is not taken: RFC 8760 2.5 warns of being talked down.
        if algorithm.upper().removesuffix(_SESSION) not in offered or qop not in self.settings.qops:
            return AuthOutcome.WRONG
        expected = digest_response(
            algorithm=algorithm,
            username=given.get("username", ""),
            realm=self.settings.realm,
            # An unknown user costs as much time as a wrong password.
            password=password if password is not None else secrets.token_hex(8),
            method=method,
            uri=given.get("uri", ""),
            nonce=nonce,
            cnonce=given.get("cnonce", ""),
            nonce_count=given.get("nc", ""),
            qop=qop,
            body=body,
        )
        if not hmac.compare_digest(expected.encode(), given.get("response", "").lower().encode()):
            return AuthOutcome.WRONG
        if password is None:
            return AuthOutcome.WRONG
        made_at = self._time_of(nonce)
        if made_at is None or now - made_at > self.settings.nonce_lifetime or nonce not in self._counts:
            return AuthOutcome.STALE
        return self._count(nonce, given.get("nc", ""))

    def _count(self, nonce: str, nonce_count: str) -> AuthOutcome:
        if not re.fullmatch(r"[0-9a-fA-F]{8}", nonce_count):
            return AuthOutcome.WRONG
        if int(nonce_count, 16) <= self._counts[nonce]:
            return AuthOutcome.REPLAYED
        self._counts[nonce] = int(nonce_count, 16)
        self._counts.move_to_end(nonce)
        return AuthOutcome.ACCEPTED

    def _make_nonce(self, now: float) -> str:
        text = f"{now:.3f}.{secrets.token_hex(8)}"
        return f"{text}.{self._sign(text)}"

    def _time_of(self, nonce: str) -> float | None:
        text, _, signature = nonce.rpartition(".")
        if not hmac.compare_digest(self._sign(text).encode(), signature.encode()):
            return None
        return float(text.rpartition(".")[0])

    def _sign(self, text: str) -> str:
        return hmac.new(self.key, text.encode(), "sha256").hexdigest()[:32]
