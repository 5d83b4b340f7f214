"""The guide's chapter "Security configuration" in its order, through the API; FIPS mode has scenarios of its own."""

from certs.purposes import ServiceName
from certs.verdict import Reason
from harness.actors.administration import administrator
from harness.actors.pages import browser
from harness.actors.sip import self_signed_client, trust_in, try_tls, user_agent
from harness.actors.web import web_client, web_context
from harness.actors.xmpp import expect_login, trust_in_xmpp, xmpp_client
from harness.expectations import expect, expect_outcome, expect_verdict
from harness.lab import Lab
from harness.nodes.node import CucmNode, ImpNode
from harness.procedures import walkthrough as api
from harness.procedures.sip import TRUNK, TRUNK_PROFILE, call_manager
from harness.procedures.xmpp import expect_link_over_tls, pass_messages
from harness.scenario import ScenarioRun, scenario
from harness.web.client import path_of
from proxies.sip.trunk.status import ServiceState
from proxies.tls import TlsClientSettings

PROXY, CALLMANAGER, ROUTER = ServiceName.SIP_PROXY, ServiceName.CALLMANAGER, ServiceName.XCP_ROUTER
CONNECTION_MANAGER, WEB = ServiceName.XCP_CONNECTION_MANAGER, ServiceName.XCP_WEB_CONNECTION_MANAGER
NOTICE = "Authorised use only."
PHONE = "phone.lab.example"


@scenario(
    "guide-walkthrough",
    title="The guide's chapter in its order, through the API",
    covers=(
        *("G01", "G02", "G03", "G12", "G13", "G14", "G15", "G16", "G17", "G18", "G19", "G20"),
        *("G21", "G22", "G23", "G24"),
    ),
    limit=120.0,
)
async def guide_walkthrough(lab: Lab, run: ScenarioRun) -> None:
    await _login_banner(lab, run)
    await _certificate_exchange(lab, run)
    await _sip_security_settings(lab, run)
    await _xmpp_security_settings(lab, run)
    await _xmpp_certificate_settings(lab, run)
    async with run.step("At the end no service waits for a restart"):
        nodes: tuple[ImpNode | CucmNode, ...] = (*lab.imp, *lab.cucm)
        for node in nodes:
            expect(f"on {node.plan.name}", [], (await api.read(lab, node, "/api/node"))["restart_needed"])


async def _login_banner(lab: Lab, run: ScenarioRun) -> None:
    for node in lab.imp:
        async with run.step(f"Create login banner on {node.plan.name} (G01)"):
            async with administrator(lab, node) as client:
                await client.call("PUT", "/api/banner", NOTICE.encode(), media_type="text/plain")
            async with browser(node) as person:
                expect("the banner", NOTICE, (await person.get("/cupadmin/login")).banner)


async def _certificate_exchange(lab: Lab, run: ScenarioRun) -> None:
    imp1, cucm1 = lab.imp[0], lab.cucm[0]
    async with run.step("Prerequisites on CUCM: SIP trunk security profile and SIP trunk (G12)"):
        profile = {
            "name": TRUNK_PROFILE,
            "device_security_mode": "Encrypted",
            "incoming_transport_type": "TLS",
            "outgoing_transport_type": "TLS",
            "x509_subject_names": [imp1.plan.fqdn],
            "incoming_port": 5061,
            "accept_presence_subscription": True,
            "accept_out_of_dialog_refer": True,
            "accept_unsolicited_notification": True,
            "accept_replaces_header": True,
        }
        trunk = {
            "name": TRUNK,
            "destination_address": imp1.plan.fqdn,
            "destination_port": imp1.plan.ports.sip_tls_peer_auth,
            "security_profile": TRUNK_PROFILE,
        }
        await api.save(lab, cucm1, "/api/sip-trunk-security-profiles", profile)
        run.saw(await api.save(lab, cucm1, "/api/sip-trunks", trunk))
    await api.restart(lab, run, cucm1, CALLMANAGER)

    await api.import_certificate(lab, run, imp1, cucm1.plan.fqdn, cucm1.plan.ports.sip_tls)
    async with run.step("The import added the TLS peer subject and selected it in the TLS context (G14)"):
        subjects = await api.read(lab, imp1, "/api/tls-peer-subjects")
        names = [one["peer_subject_name"] for one in subjects["tls_peer_subjects"]]
        expect("the TLS peer subjects", [cucm1.plan.fqdn], names)
        context = await api.read(lab, imp1, "/api/settings/tls-context")
        expect("the selected ones", [cucm1.plan.fqdn], context["selected_peer_subjects"])
    for node in lab.imp:  # the TLS context is the cluster's
        await api.restart(lab, run, node, PROXY)
    await api.restart(lab, run, imp1, ServiceName.PRESENCE_ENGINE)  # it reads cup-trust too

    async with run.step("Certificate Management on imp1: download cup.pem (G16)"):
        pem = await api.read(lab, imp1, path_of("certificates", "cup", "pem"))
    async with run.step("Certificate Management on cucm1: upload it to Callmanager-trust (G17)"):
        run.saw(await api.upload(lab, cucm1, "Callmanager-trust", pem))
        status = await call_manager(cucm1).ping(TRUNK)
        expect("the trunk before the restart", ServiceState.OUT_OF_SERVICE, status.state)
    since = run.ledger.position
    await api.restart(lab, run, cucm1, CALLMANAGER)
    async with run.step("The trunk is up over mutual TLS"):
        pairs: tuple[tuple[ImpNode | CucmNode, ImpNode | CucmNode], ...] = ((cucm1, imp1), (imp1, cucm1))
        for end, peer in pairs:
            verdict = await run.expect_verdict(
                f"{peer.plan.name}'s certificate",
                node=end.plan.name,
                reason=Reason.ACCEPTED,
                since=since,
                wanted=lambda judged, peer=peer: judged.verdict.subject == peer.plan.fqdn,  # type: ignore[misc]
            )
            run.saw(f"{end.plan.name} accepted CN={verdict.subject} over {verdict.tls_version}")
        status = await call_manager(cucm1).ping(TRUNK)
        expect(f"the trunk ({status.reason})", ServiceState.IN_SERVICE, status.state)


async def _sip_security_settings(lab: Lab, run: ScenarioRun) -> None:
    imp1 = lab.imp[0]
    phone = self_signed_client(lab, PHONE)
    port = imp1.plan.ports.sip_tls_peer_auth
    client = TlsClientSettings(
        trust=trust_in(imp1), credential=phone, server_name=imp1.plan.fqdn, check_host_name=True
    )
    async with run.step(
        "A phone whose certificate is trusted and whose subject is not selected is refused (G19)"
    ):
        run.saw(await api.upload(lab, imp1, "cup-trust", phone.chain_pem))
    await api.restart(lab, run, imp1, PROXY)
    await api.restart(lab, run, imp1, ServiceName.PRESENCE_ENGINE)
    async with run.step("… inside the handshake, and the ledger says why"):
        since = run.ledger.position
        attempt = await try_tls(lab, client, imp1.plan.address, port)
        expect_verdict("the phone's end", attempt.verdict, Reason.PEER_ALERT, alert="unknown_ca")
        seen = await run.expect_verdict(
            "the phone", node="imp1", reason=Reason.SUBJECT_NOT_IN_CONTEXT, since=since
        )
        run.saw(f"remedy: {seen.remedy}")
    async with run.step("TLS Peer Subjects: Add New, and its description (G18)"):
        subject = {"peer_subject_name": PHONE, "description": "a phone"}
        await api.save(lab, imp1, "/api/tls-peer-subjects", subject, method="POST")
    async with run.step("TLS Context Configuration: move it to Selected TLS Peer Subjects, Save (G19)"):
        context = await api.read(lab, imp1, "/api/settings/tls-context")
        selected = [*context["selected_peer_subjects"], PHONE]
        run.saw(await api.change(lab, imp1, "tls-context", selected_peer_subjects=selected))
        attempt = await try_tls(lab, client, imp1.plan.address, port)
        expect_verdict("before the restart", attempt.verdict, Reason.PEER_ALERT, alert="unknown_ca")
    for node in lab.imp:
        await api.restart(lab, run, node, PROXY)
    async with run.step("Now the phone is let in"):
        attempt = await try_tls(lab, client, imp1.plan.address, port)
        expect_verdict("the phone's end", attempt.verdict, Reason.ACCEPTED)

    for transport in ("TCP", "TLS"):
        await _proxy_to_proxy(lab, run, transport)


async def _proxy_to_proxy(lab: Lab, run: ScenarioRun, transport: str) -> None:
    imp1, imp2 = lab.imp
    name = "sip_intracluster_proxy_to_proxy_transport"
    if transport == "TLS":
        for node, other in ((imp1, imp2), (imp2, imp1)):
            await api.import_certificate(lab, run, node, other.plan.fqdn, other.plan.ports.sip_tls_peer_auth)
    else:
        async with run.step("Incoming ACL: let the test clients in"):
            entry = {"address_pattern": "127.0.0.0/8", "description": "test clients"}
            await api.save(lab, imp1, "/api/incoming-acl", entry, method="POST")
    async with run.step(
        f"General Settings: SIP Intra-cluster Proxy-to-Proxy Transport Protocol {transport} (G20)"
    ):
        run.saw(await api.change(lab, imp1, "general", **{name: transport}))
    for node in lab.imp:
        await api.restart(lab, run, node, PROXY)
        if transport == "TLS":
            await api.restart(lab, run, node, ServiceName.PRESENCE_ENGINE)
    async with run.step(f"alice's message crosses from proxy to proxy over {transport}"):
        since = run.ledger.position
        async with user_agent(lab, "alice", imp1) as alice, user_agent(lab, "bob", imp2) as bob:
            expect_outcome("bob's registration", await bob.register(), 200)
            expect_outcome("the message", await alice.message("sip:bob@lab.example", transport), 200)
            expect("what bob got", transport.encode(), (await bob.next_request()).body)
        seen = await run.expect_message(
            "the MESSAGE between the proxies",
            lambda entry: (
                entry.connection.node == "imp2"
                and entry.connection.peer[0] == imp1.plan.address
                and entry.wire.startswith(b"MESSAGE ")
            ),
            since=since,
        )
        expect("the transport", transport, seen.connection.transport)


async def _xmpp_security_settings(lab: Lab, run: ScenarioRun) -> None:
    imp1 = lab.imp[0]
    async with run.step(
        "Settings: XMPP client secure mode is on by default, clients are served cup-xmpp (G21)"
    ):
        settings = await api.read(lab, imp1, "/api/settings/security")
        expect("the check box", True, settings["xmpp_client_secure_mode"])
        async with xmpp_client(lab, "alice", imp1) as alice:
            outcome = expect_login("alice's login", await alice.outcome)
        expect("the certificate", await _fingerprint(lab, "cup-xmpp"), outcome.server_sha256)
    for enabled in (False, True):
        what = "check" if enabled else "clear"
        async with run.step(f"Settings: {what} Enable XMPP Client To IM/P Service Secure Mode (G21)"):
            run.saw(await api.change(lab, imp1, "security", xmpp_client_secure_mode=enabled))
        for node in lab.imp:
            await api.restart(lab, run, node, CONNECTION_MANAGER)
        async with (
            run.step(f"alice logs in {'over TLS' if enabled else 'in the clear'}"),
            xmpp_client(lab, "alice", imp1, in_the_clear=not enabled) as alice,
        ):
            outcome = expect_login("alice's login", await alice.outcome)
            expect("whether over TLS", enabled, bool(outcome.tls_version))

    async with run.step("Settings: check Enable XMPP Router-to-Router Secure Mode (G22)"):
        run.saw(await api.change(lab, imp1, "security", router_to_router_secure_mode=True))
    since = run.ledger.position
    for node in lab.imp:
        await api.restart(lab, run, node, ROUTER)
    async with run.step("The routers speak TLS, by certificates that were replicated by themselves"):
        await expect_link_over_tls(lab, run, since=since)
        await pass_messages(lab)

    web_page = self_signed_client(lab, "web.lab.example")
    async with run.step(
        "Settings: check Enable Web Client to IM/P Service Secure Mode, upload its certificate (G23)"
    ):
        await api.change(lab, imp1, "security", web_client_secure_mode=True)
        run.saw(await api.upload(lab, imp1, "cup-xmpp-trust", web_page.chain_pem))
    for node in lab.imp:
        await api.restart(lab, run, node, WEB)
    for service in (CONNECTION_MANAGER, ServiceName.XCP_XMPP_FEDERATION):  # they read cup-xmpp-trust too
        await api.restart(lab, run, imp1, service)
    async with run.step("A web client logs in with that certificate; without it the handshake is refused"):
        async with web_client(lab, "alice", imp1, tls=web_context(imp1, web_page)) as alice:
            expect_login("alice's login", await alice.outcome)
        since = run.ledger.position
        async with web_client(lab, "alice", imp1, tls=web_context(imp1)) as alice:
            expect("whether it logged in", False, (await alice.outcome).accepted)
        await run.expect_verdict("the web client", node="imp1", reason=Reason.NO_CERTIFICATE, since=since)


async def _xmpp_certificate_settings(lab: Lab, run: ScenarioRun) -> None:
    imp1 = lab.imp[0]
    domain = imp1.plan.domain
    async with run.step(
        f"Settings: server-to-server domain name {domain}, for the general certificate too (G24)"
    ):
        run.saw(await api.change(lab, imp1, "security", domain_name=domain, use_domain_name=True))
    for node in lab.imp:
        async with run.step(
            f"Before the restart: regenerate the affected certificates on {node.plan.name} (G24)"
        ):
            async with administrator(lab, node) as client:
                for name in ("cup-xmpp-s2s", "cup-xmpp"):
                    answer = await client.post(path_of("certificates", name, "regenerate"))
            run.saw(api.needed(answer))
    await api.expect_replicated(lab, run, "cup-xmpp")  # what comes later would ask for one more restart
    for node in lab.imp:
        for service in (ROUTER, CONNECTION_MANAGER, WEB, ServiceName.XCP_XMPP_FEDERATION):
            await api.restart(lab, run, node, service)
    async with run.step("A strict client finds the domain name in the certificate it is served"):
        tls = trust_in_xmpp(imp1, check_domain=True)
        async with xmpp_client(lab, "alice", imp1, tls=tls) as alice:
            outcome = expect_login("alice's login", await alice.outcome)
        expect("the CN on the wire", domain, outcome.server_subject)


async def _fingerprint(lab: Lab, name: str) -> str:
    listed = await api.read(lab, lab.imp[0], "/api/certificates")
    return str(next(one["certificate"]["sha256"] for one in listed["certificates"] if one["name"] == name))
