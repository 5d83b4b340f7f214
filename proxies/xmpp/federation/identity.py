"""What another server's certificate proves, and the verdicts of federation (G11, XEP-0178)."""

from collections.abc import Sequence
from dataclasses import dataclass

from certs.catalogue import explain
from certs.purposes import SERVICE_CERTIFICATES, ServiceFunction, ServiceName, TrustStoreName
from certs.verdict import PresentedCertificate, Reason, Side, Verdict
from proxies.observer import ConnectionInfo, Observer
from proxies.xmpp.streams.certificate_identity import DomainMatched, DomainRefused, match_domain


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What the other server showed in the handshake."""

    chain: tuple[PresentedCertificate, ...] = ()
    "Its chain; empty where it showed none, and in the clear."

    disbelieved: Reason | None = None
    "Why the chain proves nothing; None where `cup-xmpp-trust` trusts it."

    detail: str = ""
    "What TLS saw."

    @classmethod
    def of(cls, verdict: Verdict) -> "PeerCertificate":
        """Return what a handshake has shown."""
        return cls(verdict.presented_chain, verdict.disbelieved, verdict.detail)

    def speaks_for(self, domain: str) -> DomainMatched | DomainRefused:
        """Judge whether it proves that the other server is a domain's."""
        if not self.chain:
            return DomainRefused(f"{domain} showed no certificate", Reason.NO_CERTIFICATE)
        if self.disbelieved is not None:
            return DomainRefused(self.detail, self.disbelieved)
        return match_domain(self.chain[0].der, domain, accept_common_name=True)


class FederationVerdicts:
    """Tells the ledger who was let in and who was not, in the words of the catalogue."""

    def __init__(self, observer: Observer, node: str) -> None:
        self._observer = observer
        self._node = node

    def accept(
        self, connection: ConnectionInfo, side: Side, detail: str, chain: Sequence[PresentedCertificate] = ()
    ) -> None:
        """Write down that a domain pair may be used."""
        verdict = Verdict(
            accepted=True,
            reason=Reason.ACCEPTED,
            side=side,
            rule="A domain is let in by its certificate (XEP-0178) or by its dialback key (XEP-0220).",
            clause="G11",
            detail=detail,
            presented_chain=tuple(chain),
        )
        self._observer.judged(connection, verdict)

    def refuse(
        self,
        connection: ConnectionInfo,
        side: Side,
        reason: Reason,
        detail: str,
        chain: Sequence[PresentedCertificate] = (),
    ) -> None:
        """Write down that it may not."""
        explanation = explain(
            reason,
            trust_store=TrustStoreName.CUP_XMPP_TRUST,
            services=(ServiceName.XCP_XMPP_FEDERATION,),
            node=self._node,
            subject=chain[0].common_name if chain else "",
            trust_clause=SERVICE_CERTIFICATES[ServiceFunction.XMPP_FEDERATION].clause,
        )
        verdict = Verdict(
            accepted=False,
            reason=reason,
            side=side,
            rule=explanation.rule,
            clause=explanation.clause,
            remedy=explanation.remedy,
            detail=detail,
            presented_chain=tuple(chain),
        )
        self._observer.judged(connection, verdict)
