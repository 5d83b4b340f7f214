"""Whom and what CUCM lets in through its SIP trunks (Security Guide, "SIP trunk security profile"; G12)."""

from collections.abc import Iterable
from dataclasses import dataclass

from certs.catalogue import explain
from certs.purposes import ServiceName, TrustStoreName
from certs.verdict import Reason, Side, Verdict
from proxies.sip.messages.message import Request, split_first
from proxies.sip.transactions.matching import tag_of
from proxies.sip.transport.flow import Flow, Transport
from proxies.sip.transport.flow_table import peer_certificate
from proxies.sip.transport.locating import Resolver
from proxies.sip.trunk.sip_trunk_profile import GatedFeature, SipTrunk, SipTrunkSecurityProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What was decided about a connection."""

    verdict: Verdict
    "Let in or not, and why."

    trunk: SipTrunk | None = None
    "The trunk that it belongs to; set exactly when it is let in."

    profile: SipTrunkSecurityProfile | None = None
    "The trunk's security profile."


class TrunkAdmission:
    """Compares connections and requests with the trunks and profiles of one CUCM node."""

    def __init__(
        self,
        *,
        node: str,
        trunks: Iterable[SipTrunk],
        profiles: Iterable[SipTrunkSecurityProfile],
        resolver: Resolver,
    ) -> None:
        self._node = node
        self._trunks = tuple(trunks)
        self._profiles = {profile.name: profile for profile in profiles}
        self._resolver = resolver

    def profile_of(self, trunk: SipTrunk) -> SipTrunkSecurityProfile | None:
        """Return a trunk's security profile, or None where it has none that exists."""
        return self._profiles.get(trunk.security_profile)

    def judge_connection(self, flow: Flow, *, dialled: bool) -> Admission:
        """Find the trunk of a flow.

        An incoming TLS connection is known by its certificate's subject and the port that it came to; one that
        we dialled and one without a certificate by the peer's address.
        """
        if dialled:
            port = flow.peer[1]
            trunk = next((t for t in self._trunks_to(flow) if t.destination_port == port), None)
            return self._admit(flow, trunk) if trunk else self._refuse(flow, Reason.NO_TRUNK, "")
        if flow.transport is Transport.TLS:
            return self._judge_subject(flow)
        return self._judge_address(flow)

    def judge_request(
        self, request: Request, profile: SipTrunkSecurityProfile, flow: Flow, *, known: bool
    ) -> Verdict | None:
        """Return why the profile forbids a request, or None where it does not.

        `known` says whether the request belongs to a dialog or subscription that is there.
        """
        feature = _gated_feature(request, known=known)
        if feature is None or profile.accepts(feature):
            return None
        detail = f"{request.method} needs {feature.value!r} in profile {profile.name!r}"
        return self._verdict(flow, Reason.FEATURE_NOT_ALLOWED, detail)

    def without_profile(self, trunk: SipTrunk) -> Verdict:
        """Return the verdict on a trunk that has no security profile."""
        return self._verdict(None, Reason.NO_SECURITY_PROFILE, _missing_profile(trunk))

    def without_null_cipher(self, trunk: SipTrunk) -> Verdict:
        """Return the verdict on a trunk whose mode Authenticated this OpenSSL cannot do."""
        return self._verdict(None, Reason.NULL_CIPHER_UNAVAILABLE, f"SIP trunk {trunk.name!r}")

    def _judge_subject(self, flow: Flow) -> Admission:
        certificate = peer_certificate(flow)
        subject = certificate.common_name if certificate is not None else ""
        here = [
            profile
            for profile in self._profiles.values()
            if profile.device_security_mode.secure and profile.incoming_port == flow.local[1]
        ]
        matching = [profile for profile in here if subject in profile.x509_subject_names]
        for trunk in self._trunks:
            if self.profile_of(trunk) in matching:
                return self._admit(flow, trunk)
        if matching:
            return self._refuse(
                flow, Reason.NO_TRUNK, f"{subject!r} is in profile {matching[0].name!r}, which no trunk uses"
            )
        for trunk in self._trunks_to(flow):
            if self.profile_of(trunk) is None:
                return self._refuse(flow, Reason.NO_SECURITY_PROFILE, _missing_profile(trunk))
        if not here:
            return self._refuse(
                flow, Reason.NO_SECURITY_PROFILE, f"no secure profile has port {flow.local[1]}"
            )
        names = ", ".join(sorted(name for profile in here for name in profile.x509_subject_names))
        detail = f"presented {subject!r}, the profiles on port {flow.local[1]} have {names or 'none'}"
        return self._refuse(flow, Reason.SUBJECT_NOT_IN_PROFILE, detail)

    def _judge_address(self, flow: Flow) -> Admission:
        refused = self._refuse(flow, Reason.NO_TRUNK, f"no SIP trunk leads to {flow.peer[0]}")
        for trunk in self._trunks_to(flow):
            profile = self.profile_of(trunk)
            if profile is None:
                refused = self._refuse(flow, Reason.NO_SECURITY_PROFILE, _missing_profile(trunk))
            elif (
                flow.transport in profile.incoming_transport_type.transports
                and flow.local[1] == profile.incoming_port
            ):
                return self._admit(flow, trunk)
            else:
                detail = (
                    f"{flow.transport} to port {flow.local[1]}, profile {profile.name!r} takes "
                    f"{profile.incoming_transport_type} on {profile.incoming_port}"
                )
                refused = self._refuse(flow, Reason.TRANSPORT_NOT_ALLOWED, detail)
        return refused

    def _trunks_to(self, flow: Flow) -> list[SipTrunk]:
        return [
            trunk
            for trunk in self._trunks
            if self._resolver.address_of(trunk.destination_address) == flow.peer[0]
        ]

    def _admit(self, flow: Flow, trunk: SipTrunk) -> Admission:
        return Admission(
            verdict=self._verdict(flow, Reason.ACCEPTED, f"SIP trunk {trunk.name!r}"),
            trunk=trunk,
            profile=self.profile_of(trunk),
        )

    def _refuse(self, flow: Flow, reason: Reason, detail: str) -> Admission:
        return Admission(verdict=self._verdict(flow, reason, detail))

    def _verdict(self, flow: Flow | None, reason: Reason, detail: str) -> Verdict:
        chain = flow.verdict.presented_chain if flow is not None and flow.verdict is not None else ()
        explanation = explain(
            reason,
            trust_store=TrustStoreName.CALLMANAGER_TRUST,
            services=(ServiceName.CALLMANAGER,),
            node=self._node,
            subject=chain[0].common_name if chain else "",
        )
        return Verdict(
            accepted=reason is Reason.ACCEPTED,
            reason=reason,
            side=Side.SERVER,
            presented_chain=chain,
            rule=explanation.rule,
            clause=explanation.clause,
            remedy=explanation.remedy,
            detail=detail,
        )


def _missing_profile(trunk: SipTrunk) -> str:
    if not trunk.security_profile:
        return f"SIP trunk {trunk.name!r} has no security profile"
    return f"SIP trunk {trunk.name!r} names the profile {trunk.security_profile!r}, which is not there"


def _gated_feature(request: Request, *, known: bool) -> GatedFeature | None:
    """Return the check box that a request needs, or None where it needs none."""
    match request.method:
        case "SUBSCRIBE" if not known and _event(request) == "presence":
            return GatedFeature.PRESENCE_SUBSCRIPTION
        case "NOTIFY" if not known:
            return GatedFeature.UNSOLICITED_NOTIFICATION
        case "REFER" if not tag_of(request.header("to") or ""):
            return GatedFeature.OUT_OF_DIALOG_REFER
        case "INVITE" if request.header("replaces") is not None:
            return GatedFeature.REPLACES_HEADER
        case _:
            return None


def _event(request: Request) -> str:
    value, _ = split_first(request.header("event") or "")
    return value.partition(";")[0].strip().lower()
