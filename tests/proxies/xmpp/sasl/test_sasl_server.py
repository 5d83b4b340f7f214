"""A server lets in who shows the right credentials, and tells the others why in the words of RFC 6120 6.5."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scramp import ScramClient  # type: ignore[import-untyped]

from certs.errors import ConnectionFailed, LocalProtocolError
from certs.verdict import Reason
from proxies.xmpp import namespaces as ns
from proxies.xmpp.conditions import SaslErrorCondition
from proxies.xmpp.jid import Jid
from proxies.xmpp.sasl.common import (
    ChannelBindings,
    ChannelBindingType,
    SaslChallenge,
    SaslFailure,
    SaslMechanism,
    SaslStep,
    SaslSuccess,
)
from proxies.xmpp.sasl.scram_keys import make_credentials
from proxies.xmpp.sasl.server import SaslServer, SaslServerSettings
from proxies.xmpp.stanza import Nonza

DOMAIN = "im.example.com"
JULIET = Jid("juliet", DOMAIN)
USERS = {
    "juliet": make_credentials("r0m30"),
    "tybalt": replace(make_credentials("cats"), enabled=False),
}
BINDING: ChannelBindings = {
    ChannelBindingType.TLS_SERVER_END_POINT: b"\x01" * 32,
    ChannelBindingType.TLS_UNIQUE: b"\x02" * 12,
}
SCRAM = [mechanism for mechanism in SaslMechanism if mechanism.startswith("SCRAM")]
BAD = SaslErrorCondition


def make_server(
    server_settings: SaslServerSettings | None = None,
    *,
    encrypted: bool = True,
    channel_bindings: ChannelBindings = BINDING,
    certificate_identities: tuple[Jid, ...] = (),
) -> SaslServer:
    return SaslServer(
        server_settings or SaslServerSettings(),
        domain=DOMAIN,
        find_credentials=USERS.get,
        encrypted=encrypted,
        channel_bindings=channel_bindings,
        certificate_identities=certificate_identities,
    )


def condition(step: SaslStep) -> SaslErrorCondition:
    assert isinstance(step, SaslFailure), step
    return step.condition


def challenge(step: SaslStep) -> str:
    assert isinstance(step, SaslChallenge), step
    return step.data.decode()


def log_in(server: SaslServer, mechanism: SaslMechanism, username: str, password: str) -> SaslStep:
    """Log in with scramp's client."""
    binding = (str(ChannelBindingType.TLS_UNIQUE), BINDING[ChannelBindingType.TLS_UNIQUE])
    client = ScramClient(
        [mechanism.value], username, password, channel_binding=binding if mechanism.binds_channel else None
    )
    client.set_server_first(challenge(server.start(mechanism, client.get_client_first().encode())))
    step = server.respond(client.get_client_final().encode())
    if isinstance(step, SaslSuccess):
        client.set_server_final(step.data.decode())
    return step


def test_what_is_offered_depends_on_the_connection() -> None:
    assert make_server(certificate_identities=(JULIET,)).mechanisms() == tuple(SaslMechanism)
    assert make_server().mechanisms() == (*SCRAM, "PLAIN")
    assert make_server(encrypted=False, channel_bindings={}).mechanisms() == ("SCRAM-SHA-256", "SCRAM-SHA-1")
    in_the_clear = SaslServerSettings(plain_in_the_clear=True)
    assert "PLAIN" in make_server(in_the_clear, encrypted=False, channel_bindings={}).mechanisms()


def test_a_servers_stream_takes_no_passwords() -> None:
    domain = Jid("", "example.net")
    server = SaslServer(SaslServerSettings(), domain=DOMAIN, encrypted=True, certificate_identities=(domain,))
    assert server.mechanisms() == ("EXTERNAL",)
    assert condition(server.start("PLAIN", b"\0juliet\0r0m30")) is BAD.INVALID_MECHANISM
    assert server.start("EXTERNAL", b"example.net") == SaslSuccess(
        SaslMechanism.EXTERNAL, "example.net", domain
    )


@pytest.mark.parametrize("mechanism", SCRAM)
def test_a_scram_client_is_let_in_by_its_password_only(mechanism: SaslMechanism) -> None:
    step = log_in(make_server(), mechanism, "juliet", "r0m30")
    assert isinstance(step, SaslSuccess)
    assert (step.mechanism, step.authentication_id, step.authorization_id) == (mechanism, "juliet", JULIET)
    step = log_in(make_server(), mechanism, "juliet", "r0m3o")
    assert condition(step) is BAD.NOT_AUTHORIZED


def test_user_names_are_compared_as_localparts() -> None:
    assert isinstance(log_in(make_server(), SaslMechanism.SCRAM_SHA_256, "Juliet", "r0m30"), SaslSuccess)


def test_plain_lets_in_by_the_password_only() -> None:
    step = make_server().start("PLAIN", b"\0juliet\0r0m30")
    assert step == SaslSuccess(SaslMechanism.PLAIN, "juliet", JULIET)
    assert condition(make_server().start("PLAIN", b"\0juliet\0r0m3o")) is BAD.NOT_AUTHORIZED


def test_an_initial_response_may_come_later() -> None:
    server = make_server()
    assert server.start("PLAIN", None) == SaslChallenge(b"")
    assert isinstance(server.respond(b"\0juliet\0r0m30"), SaslSuccess)


@pytest.mark.parametrize("name", ["mercutio", "a@b", "juliet/balcony", "a b", "x" * 2000])
def test_an_unknown_user_looks_like_a_wrong_password(name: str) -> None:
    unknown = make_server().start("PLAIN", f"\0{name}\0r0m30".encode())
    wrong = make_server().start("PLAIN", b"\0juliet\0wrong")
    assert isinstance(unknown, SaslFailure)
    assert isinstance(wrong, SaslFailure)
    assert (unknown.condition, unknown.text) == (wrong.condition, wrong.text) == (BAD.NOT_AUTHORIZED, "")


def test_scram_challenges_an_unknown_user_as_a_known_one() -> None:
    first = [challenge(make_server().start("SCRAM-SHA-256", b"n,,n=mercutio,r=abc")) for _ in range(2)]
    known = challenge(make_server().start("SCRAM-SHA-256", b"n,,n=juliet,r=abc"))
    assert first[0].split(",")[1:] == first[1].split(",")[1:]
    assert [len(part) for part in first[0].split(",")] == [len(part) for part in known.split(",")]
    assert condition(log_in(make_server(), SaslMechanism.SCRAM_SHA_1, "mercutio", "x")) is BAD.NOT_AUTHORIZED


@pytest.mark.parametrize("mechanism", [SaslMechanism.PLAIN, SaslMechanism.SCRAM_SHA_256])
def test_a_disabled_account_is_told_so_only_with_its_password(mechanism: SaslMechanism) -> None:
    def attempt(password: str) -> SaslStep:
        if mechanism is SaslMechanism.PLAIN:
            return make_server().start("PLAIN", f"\0tybalt\0{password}".encode())
        return log_in(make_server(), mechanism, "tybalt", password)

    assert condition(attempt("cats")) is BAD.ACCOUNT_DISABLED
    assert condition(attempt("dogs")) is BAD.NOT_AUTHORIZED


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("juliet@im.example.com", None),
        ("Juliet@IM.example.com", None),
        ("nurse@im.example.com", BAD.INVALID_AUTHZID),
        ("juliet@example.net", BAD.INVALID_AUTHZID),
        ("@", BAD.INVALID_AUTHZID),
    ],
)
def test_nobody_acts_for_another(wanted: str, expected: SaslErrorCondition | None) -> None:
    plain = make_server().start("PLAIN", f"{wanted}\0juliet\0r0m30".encode())
    client = ScramClient(["SCRAM-SHA-1"], "juliet", "r0m30")
    server = make_server()
    # scramp's client cannot name another identity, so the header is put around what it makes.
    bare = client.get_client_first().removeprefix("n,,")
    client.gs2_header = GivenHeader(f"n,a={wanted},")
    client.set_server_first(challenge(server.start("SCRAM-SHA-1", f"n,a={wanted},{bare}".encode())))
    scram = server.respond(client.get_client_final().encode())
    if expected is None:
        assert isinstance(plain, SaslSuccess)
        assert isinstance(scram, SaslSuccess)
    else:
        assert (condition(plain), condition(scram)) == (expected, expected)


class GivenHeader:
    def __init__(self, header: str) -> None:
        self._header = header

    def make_cbind_input(self, channel_binding: object) -> bytes:
        return self._header.encode()


def test_plain_in_the_clear_needs_encryption_or_the_setting() -> None:
    step = make_server(encrypted=False, channel_bindings={}).start("PLAIN", b"\0juliet\0r0m30")
    assert condition(step) is BAD.ENCRYPTION_REQUIRED
    assert isinstance(step, SaslFailure)
    assert step.reason is Reason.LOGIN_IN_THE_CLEAR
    allowed = make_server(
        SaslServerSettings(plain_in_the_clear=True), encrypted=False, channel_bindings={}
    ).start("PLAIN", b"\0juliet\0r0m30")
    assert isinstance(allowed, SaslSuccess)


def test_a_mechanism_that_the_settings_leave_out_is_too_weak() -> None:
    only = SaslServerSettings(mechanisms=(SaslMechanism.SCRAM_SHA_256_PLUS,))
    assert make_server(only).mechanisms() == ("SCRAM-SHA-256-PLUS",)
    assert condition(make_server(only).start("SCRAM-SHA-1", None)) is BAD.MECHANISM_TOO_WEAK


@pytest.mark.parametrize("name", ["", "DIGEST-MD5", "plain", "EXTERNAL"])
def test_a_mechanism_that_is_not_offered_is_invalid(name: str) -> None:
    assert condition(make_server().start(name, b"")) is BAD.INVALID_MECHANISM


@pytest.mark.parametrize(
    "message", [b"", b"juliet", b"\0juliet", b"\0juliet\0", b"\0\0r0m30", b"\0juliet\0r0\0m30", b"\xff\0a\0b"]
)
def test_malformed_plain_is_malformed(message: bytes) -> None:
    assert condition(make_server().start("PLAIN", message)) is BAD.MALFORMED_REQUEST


def test_accounts_that_cannot_be_read_are_a_temporary_failure() -> None:
    def unreachable(_: str) -> None:
        raise ConnectionFailed("the database at 127.0.0.9 is gone")

    for mechanism, initial in (("PLAIN", b"\0juliet\0r0m30"), ("SCRAM-SHA-1", b"n,,n=juliet,r=abc")):
        server = SaslServer(SaslServerSettings(), domain=DOMAIN, find_credentials=unreachable, encrypted=True)
        step = server.start(mechanism, initial)
        assert condition(step) is BAD.TEMPORARY_AUTH_FAILURE
        assert isinstance(step, SaslFailure)
        assert (step.text, "127.0.0.9" in step.detail) == ("", True)


def test_an_error_of_our_own_in_the_lookup_is_not_hidden() -> None:
    def broken(_: str) -> None:
        raise ZeroDivisionError

    server = SaslServer(SaslServerSettings(), domain=DOMAIN, find_credentials=broken, encrypted=True)
    with pytest.raises(ZeroDivisionError):
        server.start("SCRAM-SHA-1", b"n,,n=juliet,r=abc")


def test_channel_binding_of_another_connection_is_refused() -> None:
    man_in_the_middle = {**BINDING, ChannelBindingType.TLS_UNIQUE: b"\x03" * 12}
    step = log_in(
        make_server(channel_bindings=man_in_the_middle), SaslMechanism.SCRAM_SHA_1_PLUS, "juliet", "r0m30"
    )
    assert condition(step) is BAD.NOT_AUTHORIZED
    assert isinstance(step, SaslFailure)
    assert "channel bindings" in step.detail


@pytest.mark.parametrize(
    ("mechanism", "flag", "expected"),
    [
        ("SCRAM-SHA-1", "n", None),
        ("SCRAM-SHA-1", "y", BAD.NOT_AUTHORIZED),
        ("SCRAM-SHA-1", "p=tls-unique", BAD.MALFORMED_REQUEST),
        ("SCRAM-SHA-1-PLUS", "p=tls-unique", None),
        ("SCRAM-SHA-1-PLUS", "p=tls-server-end-point", None),
        ("SCRAM-SHA-1-PLUS", "p=tls-exporter", BAD.MALFORMED_REQUEST),
        ("SCRAM-SHA-1-PLUS", "n", BAD.NOT_AUTHORIZED),
        ("SCRAM-SHA-1-PLUS", "y", BAD.NOT_AUTHORIZED),
    ],
)
def test_a_channel_binding_flag_must_fit_the_mechanism(
    mechanism: str, flag: str, expected: SaslErrorCondition | None
) -> None:
    step = make_server().start(mechanism, f"{flag},,n=juliet,r=abc".encode())
    if expected is None:
        assert challenge(step).startswith("r=abc")
    else:
        assert condition(step) is expected


def test_a_peer_may_try_again_after_a_failure() -> None:
    server = make_server()
    assert condition(server.start("PLAIN", b"\0juliet\0wrong")) is BAD.NOT_AUTHORIZED
    assert isinstance(server.start("PLAIN", b"\0juliet\0r0m30"), SaslSuccess)
    with pytest.raises(LocalProtocolError):
        server.start("PLAIN", b"\0juliet\0r0m30")


def test_messages_out_of_order_fail() -> None:
    server = make_server()
    assert condition(server.respond(b"n,,n=juliet,r=abc")) is BAD.MALFORMED_REQUEST
    challenge(server.start("SCRAM-SHA-1", b"n,,n=juliet,r=abc"))
    assert condition(server.start("SCRAM-SHA-1", b"n,,n=juliet,r=abc")) is BAD.MALFORMED_REQUEST
    challenge(server.start("SCRAM-SHA-1", b"n,,n=juliet,r=abc"))
    assert condition(server.abort()) is BAD.ABORTED
    assert condition(server.respond(b"c=biws,r=abc,p=AAAA")) is BAD.MALFORMED_REQUEST


# XEP-0178 2: what a client's certificate says against what the client asks for.
NURSE = Jid("nurse", DOMAIN)


@pytest.mark.parametrize(
    ("carried", "wanted", "expected"),
    [
        ((JULIET,), b"", None),
        ((JULIET,), b"juliet@im.example.com", None),
        ((JULIET,), b"nurse@im.example.com", BAD.INVALID_AUTHZID),
        ((JULIET, NURSE), b"juliet@im.example.com", None),
        ((JULIET, NURSE), b"", BAD.INVALID_AUTHZID),
        ((NURSE,), b"", BAD.NOT_AUTHORIZED),
        ((Jid("juliet", "example.net"),), b"", BAD.INVALID_AUTHZID),
        ((Jid("tybalt", DOMAIN),), b"", BAD.ACCOUNT_DISABLED),
        ((JULIET,), b"\xff", BAD.MALFORMED_REQUEST),
    ],
)
def test_external_lets_in_who_the_certificate_names(
    carried: tuple[Jid, ...], wanted: bytes, expected: SaslErrorCondition | None
) -> None:
    step = make_server(certificate_identities=carried).start("EXTERNAL", wanted)
    if expected is None:
        assert step == SaslSuccess(SaslMechanism.EXTERNAL, "juliet", JULIET)
    else:
        assert condition(step) is expected


# XEP-0178 3: the domain of the stream's `from`, which the caller has found in the certificate.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"Y29uZmVyZW5jZS5leGFtcGxlLm9yZw==", None),
        (b"=", None),
        (b"ZXhhbXBsZS5vcmc=", BAD.INVALID_AUTHZID),
        (b"Y29u*", BAD.INCORRECT_ENCODING),
    ],
)
def test_external_between_servers(text: bytes, expected: SaslErrorCondition | None) -> None:
    domain = Jid("", "conference.example.org")
    server = SaslServer(SaslServerSettings(), domain=DOMAIN, encrypted=True, certificate_identities=(domain,))
    step = server.receive_nonza(Nonza(ns.SASL, "auth", {"mechanism": "EXTERNAL"}, text))
    if expected is None:
        assert step == SaslSuccess(SaslMechanism.EXTERNAL, "conference.example.org", domain)
    else:
        assert condition(step) is expected


def test_elements_are_taken_as_they_come() -> None:
    server = make_server()
    auth = Nonza(ns.SASL, "auth", {"mechanism": "PLAIN"}, b"AGp1bGlldAByMG0zMA==")
    assert condition(server.receive_nonza(Nonza(ns.SASL, "success"))) is BAD.MALFORMED_REQUEST
    assert condition(server.receive_nonza(Nonza(ns.SASL, "auth"))) is BAD.INVALID_MECHANISM
    assert condition(server.receive_nonza(Nonza(ns.SASL, "abort"))) is BAD.ABORTED
    assert server.receive_nonza(replace(auth, payload=b"")) == SaslChallenge(b"")
    assert condition(server.receive_nonza(Nonza(ns.SASL, "response", {}, b"A"))) is BAD.INCORRECT_ENCODING
    assert isinstance(server.receive_nonza(auth), SaslSuccess)


def test_a_message_has_a_bound() -> None:
    assert condition(make_server().start("PLAIN", b"\0juliet\0" + b"x" * 8192)) is BAD.MALFORMED_REQUEST


mechanisms = st.sampled_from([*SaslMechanism, "X"])
messages = st.one_of(
    st.binary(max_size=60),
    st.builds(
        "{},{},{}".format,
        st.sampled_from(["n", "y", "p=tls-unique", "p=x", ""]),
        st.sampled_from(["", "a=juliet@im.example.com", "a", "a=="]),
        st.text("nrcpims=,AZ0\u00df\u0000 ", max_size=24).map("n=juliet,r=x".__add__),
    ).map(str.encode),
    st.text("cnrp=,biwsA0/", max_size=40).map("c=biws,r=x".__add__).map(str.encode),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["start", "respond", "abort"]), mechanisms, messages), max_size=4))
def test_random_messages_are_challenged_or_fail(steps: list[tuple[str, str, bytes]]) -> None:
    server = make_server(certificate_identities=(JULIET, NURSE))
    for what, mechanism, message in steps:
        if what == "start":
            step = server.start(mechanism, message)
        elif what == "respond":
            step = server.respond(message)
        else:
            step = server.abort()
        assert isinstance(step, SaslFailure | SaslChallenge)
        if isinstance(step, SaslChallenge):
            assert mechanism.startswith("SCRAM")
