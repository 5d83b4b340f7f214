"""The exchange of certificates between CUCM and IM and Presence, in the guide's order (G12 to G17)."""

from certs.purposes import CertificatePurpose, TrustStoreName
from certs.verdict import Reason
from harness.expectations import expect
from harness.lab import Lab
from harness.procedures.sip import (
    TRUNK,
    call_manager,
    configure_trunk,
    import_cucm_certificate,
    restart_call_manager,
    restart_sip_proxies,
    upload_cup_to_cucm,
)
from harness.scenario import ScenarioRun, scenario
from proxies.sip.trunk.status import ServiceState

NOBODY_LISTENS = 5999


@scenario(
    "certificate-exchange",
    title="Certificate exchange between IM and Presence and CUCM, in the guide's order",
    covers=("G12", "G13", "G14", "G15", "G16", "G17", "G18"),
)
async def certificate_exchange(lab: Lab, run: ScenarioRun) -> None:
    imp1, cucm1 = lab.imp[0], lab.cucm[0]
    await configure_trunk(lab, run, subject_names=imp1.plan.fqdn)  # prerequisites, G12
    await restart_call_manager(lab, run)
    await _show_what_the_tool_reports(lab, run)  # G13, when it fails
    await import_cucm_certificate(lab, run)  # G13

    async with run.step("TLS Peer Subjects and the TLS context: the import added CUCM's CN by itself (G14)"):
        subjects = await imp1.administration.tls_peer_subjects()
        expect("the TLS peer subjects", [cucm1.plan.fqdn], [one.peer_subject_name for one in subjects])
        context = await imp1.administration.tls_context()
        expect("the selected ones", {cucm1.plan.fqdn}, set(context.selected_peer_subjects))
        run.saw(f"{subjects[0].peer_subject_name}, description {subjects[0].description!r}")

    await restart_sip_proxies(lab, run)  # G15

    management = imp1.administration.certificate_management
    async with run.step("A pending cup.csr does not get in the way of the self-signed cup.pem (G16)"):
        before = management.download(CertificatePurpose.CUP)
        csr = await management.generate_csr(CertificatePurpose.CUP)
        expect("the request", True, csr.startswith(b"-----BEGIN CERTIFICATE REQUEST-----"))
        expect("the certificate", before, management.download(CertificatePurpose.CUP))
        listed = [one.file_name for one in management.find() if one.name is CertificatePurpose.CUP]
        expect("what Find shows", ["cup.pem"], listed)

    await upload_cup_to_cucm(lab, run)  # G16, G17
    async with run.step("Before Cisco CallManager restarts the old trust still holds (G17)"):
        status = await call_manager(cucm1).ping(TRUNK)
        expect("the trunk's state", ServiceState.OUT_OF_SERVICE, status.state)
        run.saw(status.reason)

    since = run.ledger.position
    await restart_call_manager(lab, run)  # G17
    async with run.step("The trunk comes up by itself, over mutual TLS"):
        for node, peer in ((cucm1, imp1), (imp1, cucm1)):
            verdict = await run.expect_verdict(
                f"{peer.plan.name}'s certificate", node=node.plan.name, reason=Reason.ACCEPTED, since=since
            )
            expect(f"the subject that {node.plan.name} saw", peer.plan.fqdn, verdict.subject)
            run.saw(f"{node.plan.name} accepted CN={verdict.subject} over {verdict.tls_version}")
        status = await call_manager(cucm1).ping(TRUNK)
        expect(f"the trunk's state ({status.reason})", ServiceState.IN_SERVICE, status.state)


async def _show_what_the_tool_reports(lab: Lab, run: ScenarioRun) -> None:
    """The tool reports connecting and downloading apart; each failure leaves everything as it was."""
    imp1, cucm1 = lab.imp[0], lab.cucm[0]
    store = TrustStoreName.CUP_TRUST
    cases = (
        ("an unreachable port", cucm1.plan.fqdn, NOBODY_LISTENS, False, Reason.UNREACHABLE),
        ("a host that does not exist", "cucm9.lab.example", 5061, False, Reason.UNREACHABLE),
        ("a port that speaks no TLS", cucm1.plan.fqdn, cucm1.plan.ports.sip, True, Reason.NOT_TLS),
    )
    for what, address, port, connects, reason in cases:
        async with run.step(f"Certificate Import Tool on imp1: {what}"):
            report = (await imp1.administration.import_certificate(store, address, port)).report
            expect("connected", connects, report.connected)
            expect("downloaded", False, report.downloaded)
            expect("the reason", reason, report.reason)
            run.saw(f"connected: {report.connected}, downloaded: {report.downloaded}: {report.detail}")
            run.saw(f"recommended action: {report.remedy}")
            expect("cup-trust", (), imp1.key_store.trust(store))
            expect("the TLS peer subjects", (), await imp1.administration.tls_peer_subjects())
