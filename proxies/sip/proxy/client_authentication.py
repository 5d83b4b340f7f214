"""Digest authentication of clients by the SIP proxy (RFC 3261 22; the algorithms are those of RFC 8760)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from certs.catalogue import explain
from certs.errors import RemoteProtocolError
from certs.fips.mode import in_fips_mode
from certs.purposes import ServiceName
from certs.verdict import Reason, Side, Verdict
from proxies.sip.messages.digest import (
    AuthOutcome,
    DigestAlgorithm,
    DigestChallenger,
    DigestSettings,
    parse_auth,
)
from proxies.sip.messages.message import Request, Response
from proxies.sip.messages.routing_uri import address_of, parse_routing_uri
from proxies.sip.transactions.matching import respond

NOT_CHALLENGED: Final = frozenset({"ACK", "CANCEL"})
"Requests that get no challenge (RFC 3261 22.1, 9.1)."

APPROVED_ALGORITHMS: Final = (DigestAlgorithm.SHA_256,)
"What is offered in FIPS mode."

ALGORITHMS: Final = (DigestAlgorithm.SHA_256, DigestAlgorithm.MD5)
"What is offered otherwise: MD5 is all that many clients know."


@dataclass(frozen=True, slots=True)
class AuthenticationNeeded:
    """A request is not let in as it is."""

    response: Response
    "A challenge, or 403."

    verdict: Verdict | None
    "Why credentials were refused; None where there were none yet."


class ClientAuthenticator:
    """Asks clients for the digest password of the user that they send for."""

    def __init__(
        self,
        *,
        node: str,
        realm: str,
        passwords: Mapping[str, str],
        algorithms: Sequence[DigestAlgorithm] | None = None,
    ) -> None:
        """Take the users' passwords; without algorithms those that this process may use."""
        chosen = algorithms or (APPROVED_ALGORITHMS if in_fips_mode() else ALGORITHMS)
        self._node = node
        self._passwords = passwords
        self._challenger = DigestChallenger(DigestSettings(realm=realm, algorithms=chosen))
        self._realm = realm

    def check(self, request: Request, *, now: float) -> AuthenticationNeeded | None:
        """Return None for a request that proves whom it is from, and what to answer to any other."""
        if request.method in NOT_CHALLENGED:
            return None
        proxied = request.method != "REGISTER"
        values = tuple(request.headers("proxy-authorization" if proxied else "authorization"))
        try:
            outcome, username = self._challenger.judge(
                values,
                method=request.method,
                body=request.body,
                password_of=self._passwords.get,
                now=now,
            )
            sender = parse_routing_uri(address_of(request.required("from"))).user
        except RemoteProtocolError as error:
            return AuthenticationNeeded(respond(request, int(error.reply), to_tag=self._node), None)
        if outcome is AuthOutcome.ACCEPTED:
            if username == sender:
                return None
            detail = f"{username} sends in the name of {sender}"
            return AuthenticationNeeded(
                respond(request, 403, to_tag=self._node), self._refuse(Reason.BAD_CREDENTIALS, detail)
            )
        challenge = respond(request, 407 if proxied else 401, to_tag=self._node)
        stale = outcome is AuthOutcome.STALE
        for value in self._challenger.challenges(now=now, stale=stale):
            challenge.add_header("Proxy-Authenticate" if proxied else "WWW-Authenticate", value)
        return AuthenticationNeeded(challenge, self._judge(outcome, username, values))

    def _judge(self, outcome: AuthOutcome, username: str, values: Sequence[str]) -> Verdict | None:
        """Return the verdict about credentials that were refused; an old nonce is no fault of theirs."""
        if outcome in (AuthOutcome.MISSING, AuthOutcome.STALE):
            return None
        algorithm = self._algorithm_of(values)
        if in_fips_mode() and algorithm.startswith(DigestAlgorithm.MD5):
            return self._refuse(
                Reason.NOT_FIPS_APPROVED,
                f"{username} answers by {algorithm}; the challenge offers {', '.join(APPROVED_ALGORITHMS)}",
            )
        return self._refuse(Reason.BAD_CREDENTIALS, f"{username}: {outcome}")

    def _algorithm_of(self, values: Sequence[str]) -> str:
        for value in values:
            _, parameters = parse_auth(value)
            if parameters.get("realm") == self._realm:
                return parameters.get("algorithm", DigestAlgorithm.MD5).upper()
        return ""

    def _refuse(self, reason: Reason, detail: str) -> Verdict:
        explanation = explain(reason, services=(ServiceName.SIP_PROXY,), node=self._node)
        return Verdict(
            accepted=False,
            reason=reason,
            side=Side.SERVER,
            rule=explanation.rule,
            clause=explanation.clause,
            remedy=explanation.remedy,
            detail=detail,
        )
