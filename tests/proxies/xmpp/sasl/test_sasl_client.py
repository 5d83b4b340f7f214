"""A client takes the best mechanism there is, shows a password to nobody else, and makes the server prove itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slixmpp.util.sasl import mechanisms as slixmpp_mechanisms
from slixmpp.util.sasl.client import choose as slixmpp_choose

from certs.errors import ConfigError, RemoteProtocolError
from certs.verdict import Reason
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import SaslErrorCondition
from proxies.xmpp.jid import Jid
from proxies.xmpp.sasl.client import SaslClient, SaslClientSettings
from proxies.xmpp.sasl.common import (
    ChannelBindings,
    ChannelBindingType,
    SaslChallenge,
    SaslFailure,
    SaslMechanism,
    SaslSuccess,
    encode_payload,
    encode_step,
    parse_failure,
    parse_payload,
)
from proxies.xmpp.sasl.scram_keys import make_credentials
from proxies.xmpp.sasl.server import SaslServer, SaslServerSettings
from proxies.xmpp.stanza import Nonza

DOMAIN = "im.example.com"
JULIET = Jid("juliet", DOMAIN)
USERS = {"juliet": make_credentials("r0m30")}
BINDING: ChannelBindings = {
    ChannelBindingType.TLS_SERVER_END_POINT: b"\x01" * 32,
    ChannelBindingType.TLS_UNIQUE: b"\x02" * 12,
}
LOGIN = SaslClientSettings(username="juliet", password="r0m30")


def make_server(*mechanisms: SaslMechanism, channel_bindings: ChannelBindings = BINDING) -> SaslServer:
    return SaslServer(
        SaslServerSettings(mechanisms=mechanisms or tuple(SaslMechanism)),
        domain=DOMAIN,
        find_credentials=USERS.get,
        encrypted=True,
        channel_bindings=channel_bindings,
        certificate_identities=(JULIET,),
    )


def make_client(**changes: object) -> SaslClient:
    arguments: dict[str, object] = {
        "encrypted": True,
        "channel_bindings": BINDING,
        "has_certificate": True,
        **changes,
    }
    return SaslClient(LOGIN, **arguments)  # type: ignore[arg-type]


def negotiate(client: SaslClient, server: SaslServer) -> SaslSuccess | SaslFailure:
    """Carry the messages between the two, as elements."""
    auth = client.start(server.mechanisms()).encode()
    step = server.receive_nonza(auth)
    while isinstance(step, SaslChallenge):
        data = parse_payload(encode_step(step).text) or b""
        step = server.receive_nonza(Nonza(ns.SASL, "response", {}, encode_payload(client.respond(data))))
    if isinstance(step, SaslSuccess):
        client.receive_success(parse_payload(encode_step(step).text))
    return step


@pytest.mark.parametrize("mechanism", SaslMechanism)
def test_client_and_server_agree_on_every_mechanism(mechanism: SaslMechanism) -> None:
    step = negotiate(make_client(), make_server(mechanism))
    assert isinstance(step, SaslSuccess)
    assert (step.mechanism, step.authorization_id) == (mechanism, JULIET)


def test_the_best_mechanism_that_the_connection_allows_is_taken() -> None:
    offered = tuple(SaslMechanism)
    assert make_client().start(offered).mechanism == "EXTERNAL"
    assert make_client(has_certificate=False).start(offered).mechanism == "SCRAM-SHA-256-PLUS"
    unbound = make_client(has_certificate=False, channel_bindings={})
    assert unbound.start(offered).mechanism == "SCRAM-SHA-256"
    assert make_client(has_certificate=False).start(("PLAIN",)).mechanism == "PLAIN"
    other_binding = make_client(has_certificate=False).start(offered, ("tls-exporter",))
    assert other_binding.mechanism == "SCRAM-SHA-256"


def test_a_password_is_not_shown_in_the_clear() -> None:
    client = make_client(encrypted=False, channel_bindings={}, has_certificate=False)
    with pytest.raises(RemoteProtocolError, match="without TLS") as caught:
        client.start(("PLAIN",))
    assert caught.value.reply == SaslErrorCondition.INVALID_MECHANISM
    allowed = SaslClient(SaslClientSettings(username="juliet", password="r0m30", plain_in_the_clear=True))
    assert allowed.start(("PLAIN",)).initial == b"\0juliet\0r0m30"


def test_a_shorter_list_of_mechanisms_refuses_a_downgrade() -> None:
    only = SaslClientSettings(
        username="juliet", password="r0m30", mechanisms=(SaslMechanism.SCRAM_SHA_256_PLUS,)
    )
    client = SaslClient(only, encrypted=True, channel_bindings=BINDING)
    with pytest.raises(RemoteProtocolError):
        client.start(("SCRAM-SHA-256", "PLAIN"))
    assert client.start(("SCRAM-SHA-256-PLUS", "PLAIN")).mechanism == "SCRAM-SHA-256-PLUS"


def test_a_server_sees_that_somebody_took_its_plus_mechanisms_away() -> None:
    client, server = make_client(has_certificate=False), make_server()
    auth = client.start([name for name in server.mechanisms() if not name.endswith("-PLUS")])
    assert auth.initial is not None
    assert auth.initial.startswith(b"y,,")
    step = server.receive_nonza(auth.encode())
    assert isinstance(step, SaslFailure)
    assert step.condition is SaslErrorCondition.NOT_AUTHORIZED

    # The twin: a server that has no channel binding itself takes the same message.
    step = make_server(channel_bindings={}).receive_nonza(auth.encode())
    assert isinstance(step, SaslChallenge)


def test_a_client_that_chooses_not_to_bind_says_so() -> None:
    unbound = SaslClientSettings(
        username="juliet", password="r0m30", mechanisms=(SaslMechanism.SCRAM_SHA_256,)
    )
    client = SaslClient(unbound, encrypted=True, channel_bindings=BINDING)
    assert isinstance(negotiate(client, make_server()), SaslSuccess)


@pytest.mark.parametrize("success", [None, b"", b"v=AAAA", b"e=other-error", b"\xff"])
def test_a_success_without_the_right_signature_is_refused(success: bytes | None) -> None:
    client, server = make_client(), make_server(SaslMechanism.SCRAM_SHA_256)
    challenge = server.receive_nonza(client.start(server.mechanisms()).encode())
    assert isinstance(challenge, SaslChallenge)
    client.respond(challenge.data)
    with pytest.raises(RemoteProtocolError):
        client.receive_success(success)


def test_a_success_in_place_of_the_challenge_is_refused() -> None:
    client = make_client()
    client.start(("SCRAM-SHA-256",))
    with pytest.raises(RemoteProtocolError, match="signature"):
        client.receive_success(b"v=AAAA")


def test_the_signature_may_come_before_the_success() -> None:
    client, server = make_client(), make_server(SaslMechanism.SCRAM_SHA_256)
    challenge = server.receive_nonza(client.start(server.mechanisms()).encode())
    assert isinstance(challenge, SaslChallenge)
    step = server.respond(client.respond(challenge.data))
    assert isinstance(step, SaslSuccess)
    assert client.respond(step.data) == b""
    client.receive_success(None)


def test_a_challenge_that_nobody_expects_is_refused() -> None:
    client = make_client()
    client.start(("PLAIN",))
    with pytest.raises(RemoteProtocolError):
        client.respond(b"")


def test_a_user_name_that_saslprep_forbids_is_a_wrong_setting() -> None:
    client = SaslClient(SaslClientSettings(username="\u0007", password="r0m30"))
    with pytest.raises(ConfigError):
        client.start(("SCRAM-SHA-1",))


def test_secrets_are_not_in_reprs() -> None:
    auth = make_client().start(("PLAIN",))
    assert "r0m30" not in repr(LOGIN) + repr(auth)


def test_auth_is_written_as_rfc_6120_prints_it() -> None:
    assert make_client().start(("PLAIN",)).encode().encode() == (
        b"<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" mechanism='PLAIN'>AGp1bGlldAByMG0zMA==</auth>"
    )
    external = make_client().start(("EXTERNAL",)).encode()
    assert external.encode() == (
        b"<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" mechanism='EXTERNAL'>=</auth>"
    )


def test_a_failure_is_written_and_read() -> None:
    failure = SaslFailure(SaslErrorCondition.ACCOUNT_DISABLED, "Call us <at> once.", "for the ledger")
    nonza = encode_step(failure)
    assert nonza.encode() == (
        b'<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><account-disabled/>'
        b'<text xml:lang="en">Call us &lt;at&gt; once.</text></failure>'
    )
    assert parse_failure(nonza) == SaslFailure(SaslErrorCondition.ACCOUNT_DISABLED, "Call us <at> once.")
    assert parse_failure(Nonza(ns.SASL, "failure", {}, b"<no-such/>")).condition == "not-authorized"


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (SaslErrorCondition.NOT_AUTHORIZED, Reason.BAD_CREDENTIALS),
        (SaslErrorCondition.INVALID_AUTHZID, Reason.BAD_CREDENTIALS),
        (SaslErrorCondition.ENCRYPTION_REQUIRED, Reason.LOGIN_IN_THE_CLEAR),
        (SaslErrorCondition.MECHANISM_TOO_WEAK, Reason.LOGIN_NOT_CARRIED_THROUGH),
        (SaslErrorCondition.ABORTED, Reason.LOGIN_NOT_CARRIED_THROUGH),
    ],
)
def test_a_failure_has_a_reason_for_the_ledger(condition: SaslErrorCondition, reason: Reason) -> None:
    assert SaslFailure(condition).reason is reason


messages = st.one_of(
    st.binary(max_size=60), st.text("rsive=,AB4096+/", max_size=40).map("r=abc,s=".__add__).map(str.encode)
)


@settings(deadline=None)
@given(st.lists(messages, max_size=3), messages)
def test_a_server_that_sends_anything_is_refused(challenges: list[bytes], success: bytes) -> None:
    client = make_client(has_certificate=False)
    client.start(("SCRAM-SHA-256",))

    def listen() -> None:
        for challenge in challenges:
            client.respond(challenge)
        client.receive_success(success)

    with pytest.raises(RemoteProtocolError):
        listen()


@pytest.mark.parametrize(("text", "data"), [("", None), ("=", b""), ("AGp1", b"\0ju")])
def test_payloads_go_there_and_back(text: str, data: bytes | None) -> None:
    assert parse_payload(text) == data
    assert encode_payload(data).decode() == text


@pytest.mark.parametrize("text", ["A", "AAA=A", "A\u00e4==", "==", "AA AA", "A" * 20000])
def test_text_that_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_payload(text)
    assert caught.value.reply == SaslErrorCondition.INCORRECT_ENCODING


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"])
@pytest.mark.parametrize("authzid", [b"", b"juliet@im.example.com"])
def test_slixmpps_mechanisms_log_in(mechanism: str, authzid: bytes) -> None:
    def give(required: set[str], optional: set[str]) -> dict[str, bytes]:
        known = {"username": b"juliet", "password": b"r0m30", "authzid": authzid}
        known["channel_binding"] = BINDING[ChannelBindingType.TLS_UNIQUE]
        return {name: known.get(name, b"") for name in required | optional}

    def give_security(values: set[str]) -> dict[str, object]:
        known = {"encrypted": True, "encrypted_plain": True, "tls_version": "TLSv1.2"}
        known["binding_proposed"] = mechanism.endswith("PLUS")
        return {name: known.get(name, False) for name in values}

    client = slixmpp_choose([mechanism], give, give_security)
    server = make_server(channel_bindings=BINDING if mechanism.endswith("PLUS") else {})
    step = server.start(mechanism, client.process())
    while isinstance(step, SaslChallenge):
        step = server.respond(client.process(step.data))
    assert isinstance(step, SaslSuccess), step
    assert step.authorization_id == JULIET
    if isinstance(client, slixmpp_mechanisms.SCRAM):
        client.process(step.data)  # raises where the signature is wrong
