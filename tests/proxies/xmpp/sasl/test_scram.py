"""SCRAM on the wire, as the examples of its RFCs print it."""

import base64
from dataclasses import dataclass

import pytest

from certs.errors import ConfigError, RemoteProtocolError
from proxies.xmpp.conditions import SaslErrorCondition
from proxies.xmpp.sasl.common import ChannelBindingType, SaslMechanism
from proxies.xmpp.sasl.scram import ScramClientExchange, ScramServerExchange
from proxies.xmpp.sasl.scram_keys import (
    decoy_credentials,
    derive_keys,
    make_credentials,
    verify_password,
)


@dataclass(frozen=True)
class Example:
    mechanism: SaslMechanism
    salt: str
    client_nonce: str
    server_nonce: str
    messages: tuple[bytes, bytes, bytes, bytes]


EXAMPLES = [
    pytest.param(
        Example(
            SaslMechanism.SCRAM_SHA_1,
            "QSXCR+Q6sek8bf92",
            "fyko+d2lbbFgONRv9qkxdawL",
            "3rfcNHYJY1ZVvWVs7j",
            (
                b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
        ),
        id="RFC 5802 5",
    ),
    pytest.param(
        Example(
            SaslMechanism.SCRAM_SHA_256,
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            (
                b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ),
        id="RFC 7677 3",
    ),
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_server_speaks_the_example(example: Example) -> None:
    keys = derive_keys(example.mechanism, "pencil", base64.b64decode(example.salt), 4096)
    server = ScramServerExchange(
        example.mechanism, {"user": keys}.__getitem__, {}, nonce=example.server_nonce
    )
    client_first, server_first, client_final, server_final = example.messages
    assert server.receive_first(client_first) == server_first
    assert server.receive_final(client_final) == server_final


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_client_speaks_the_example(example: Example) -> None:
    client = ScramClientExchange(example.mechanism, "user", "pencil", None, nonce=example.client_nonce)
    client_first, server_first, client_final, server_final = example.messages
    assert client.first() == client_first
    assert client.receive_first(server_first) == client_final
    client.receive_final(server_final)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_client_refuses_a_server_that_does_not_know_the_keys(example: Example) -> None:
    client = ScramClientExchange(example.mechanism, "user", "pencil", None, nonce=example.client_nonce)
    client.first()
    client.receive_first(example.messages[1])
    with pytest.raises(RemoteProtocolError, match="signature"):
        client.receive_final(b"v=AAAApqV8S7suAoZWja4dJRkFsKQ=")


def test_the_client_refuses_fewer_iterations_than_4096() -> None:
    client = ScramClientExchange(SaslMechanism.SCRAM_SHA_1, "user", "pencil", None, nonce="abc")
    client.first()
    with pytest.raises(RemoteProtocolError, match="4096"):
        client.receive_first(b"r=abcdef,s=QSXCR+Q6sek8bf92,i=4095")


def test_an_authorization_identity_with_comma_and_equals_sign_is_undone() -> None:
    keys = derive_keys("SCRAM-SHA-1", "pencil", b"0123456789abcdef", 4096)
    server = ScramServerExchange(SaslMechanism.SCRAM_SHA_1, lambda _: keys, {})
    server.receive_first(b"n,a=a=2Cb=3Dc@example.com,n=user,r=fyko")
    assert server.authorization_id == "a,b=c@example.com"


@pytest.mark.parametrize("header", [b"n,b=x,", b"n,a=,", b"n,a=a=b,", b"n,a=a=2c,", b"n,", b"", b"x,,"])
def test_a_wrong_header_is_malformed(header: bytes) -> None:
    keys = derive_keys("SCRAM-SHA-1", "pencil", b"0123456789abcdef", 4096)
    server = ScramServerExchange(SaslMechanism.SCRAM_SHA_1, lambda _: keys, {})
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_first(header + b"n=user,r=fyko")
    assert caught.value.reply == SaslErrorCondition.MALFORMED_REQUEST


@pytest.mark.parametrize("offered", [{}, {ChannelBindingType.TLS_UNIQUE: b"\x00"}])
def test_a_client_that_saw_no_channel_binding_is_let_in_only_where_there_was_none(
    offered: dict[ChannelBindingType, bytes],
) -> None:
    keys = derive_keys("SCRAM-SHA-1", "pencil", b"0123456789abcdef", 4096)
    server = ScramServerExchange(SaslMechanism.SCRAM_SHA_1, lambda _: keys, offered)
    if not offered:
        assert server.receive_first(b"y,,n=user,r=fyko").startswith(b"r=fyko")
        return
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_first(b"y,,n=user,r=fyko")
    assert caught.value.reply == SaslErrorCondition.NOT_AUTHORIZED


def test_a_password_is_verified_by_its_stored_keys() -> None:
    credentials = make_credentials("pencil")
    assert verify_password(credentials, "pencil")
    assert not verify_password(credentials, "pencils")
    assert not verify_password(credentials, "\x00")


def test_equal_passwords_have_different_keys_and_none_is_shown() -> None:
    first, second = make_credentials("pencil"), make_credentials("pencil")
    assert first.scram_sha_256.stored_key != second.scram_sha_256.stored_key
    assert repr(first.scram_sha_256) == "ScramKeys(iterations=4096)"


def test_passwords_are_compared_as_saslprep_leaves_them() -> None:
    assert verify_password(make_credentials("I\u00adX"), "IX")  # RFC 4013 3: a soft hyphen maps to nothing


def test_a_password_that_saslprep_forbids_is_refused_when_it_is_set() -> None:
    with pytest.raises(ConfigError, match="SASLprep"):
        make_credentials("\u0007")


def test_an_unknown_user_has_the_same_salt_at_each_login_and_no_password() -> None:
    first, second = decoy_credentials("nobody", b"secret"), decoy_credentials("nobody", b"secret")
    assert first == second
    assert first != decoy_credentials("someone", b"secret")
    assert len(first.scram_sha_1.salt) == len(make_credentials("pencil").scram_sha_1.salt)
    assert not verify_password(first, "pencil")
