"""Digest authentication, with the examples of RFC 7616 and RFC 2617."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs.errors import RemoteProtocolError
from proxies.sip.messages.digest import (
    AuthOutcome,
    DigestAlgorithm,
    DigestChallenger,
    DigestSettings,
    Qop,
    answer_challenge,
    digest_response,
    parse_auth,
)

PASSWORDS = {"bob": "zanzibar"}


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_3_9_1(algorithm: str, response: str) -> None:
    assert response == digest_response(
        algorithm=algorithm,
        username="Mufasa",
        realm="http-auth@example.org",
        password="Circle of Life",
        method="GET",
        uri="/dir/index.html",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        nonce_count="00000001",
        qop="auth",
    )


def test_the_example_of_rfc_2617_3_5() -> None:
    assert (
        digest_response(
            algorithm="MD5",
            username="Mufasa",
            realm="testrealm@host.com",
            password="Circle Of Life",
            method="GET",
            uri="/dir/index.html",
            nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
            cnonce="0a4f113b",
            nonce_count="00000001",
            qop="auth",
        )
        == "6629fae49393a05397450978507c4ef1"
    )


def test_a_comma_or_quote_inside_quotes_belongs_to_the_value() -> None:
    scheme, parameters = parse_auth('Digest realm="a, \\"b\\"", qop="auth,auth-int", nonce=abc')
    assert scheme == "Digest"
    assert parameters == {"realm": 'a, "b"', "qop": "auth,auth-int", "nonce": "abc"}


@pytest.mark.parametrize("value", ["", "Digest", 'Digest realm="a', "Digest =a", "Digest " + "a=b," * 40])
def test_what_is_no_challenge_is_refused(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_auth(value)


@given(st.text(max_size=120))
def test_random_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse_auth("Digest " + text)
    except RemoteProtocolError:
        return


@pytest.fixture
def challenger() -> DigestChallenger:
    return DigestChallenger(DigestSettings(realm="lab.example", algorithms=tuple(DigestAlgorithm)))


def answer(challenges: list[str], password: str = "zanzibar", user: str = "bob", body: bytes = b"") -> str:
    return answer_challenge(
        challenges, username=user, password=password, method="REGISTER", uri="sip:lab.example", body=body
    )


def judge(
    challenger: DigestChallenger,
    credentials: str,
    now: float = 1.0,
    method: str = "REGISTER",
    body: bytes = b"",
) -> AuthOutcome:
    outcome, _ = challenger.judge([credentials], method=method, body=body, password_of=PASSWORDS.get, now=now)
    return outcome


def test_the_strongest_challenge_is_answered(challenger: DigestChallenger) -> None:
    credentials = answer(challenger.challenges(now=0.0))
    assert "algorithm=SHA-512-256" in credentials
    assert judge(challenger, credentials) is AuthOutcome.ACCEPTED


@pytest.mark.parametrize("algorithm", DigestAlgorithm)
def test_each_algorithm_lets_the_right_password_in_and_no_other(algorithm: DigestAlgorithm) -> None:
    challenger = DigestChallenger(DigestSettings(realm="lab.example", algorithms=(algorithm,)))
    assert judge(challenger, answer(challenger.challenges(now=0.0))) is AuthOutcome.ACCEPTED
    assert judge(challenger, answer(challenger.challenges(now=0.0), "wrong")) is AuthOutcome.WRONG


def test_an_unknown_user_is_refused_like_a_wrong_password(challenger: DigestChallenger) -> None:
    assert judge(challenger, answer(challenger.challenges(now=0.0), user="eve")) is AuthOutcome.WRONG


def test_credentials_for_another_method_are_refused(challenger: DigestChallenger) -> None:
    credentials = answer(challenger.challenges(now=0.0))
    assert judge(challenger, credentials, method="INVITE") is AuthOutcome.WRONG


def test_with_auth_int_a_changed_body_is_refused() -> None:
    challenger = DigestChallenger(DigestSettings(realm="lab.example", qops=(Qop.AUTH_INT,)))
    credentials = answer(challenger.challenges(now=0.0), body=b"hello")
    assert judge(challenger, credentials, body=b"other") is AuthOutcome.WRONG
    assert judge(challenger, credentials, body=b"hello") is AuthOutcome.ACCEPTED


def test_credentials_work_once(challenger: DigestChallenger) -> None:
    credentials = answer(challenger.challenges(now=0.0))
    assert judge(challenger, credentials) is AuthOutcome.ACCEPTED
    assert judge(challenger, credentials) is AuthOutcome.REPLAYED


def test_an_old_nonce_is_stale_and_a_new_one_is_not(challenger: DigestChallenger) -> None:
    credentials = answer(challenger.challenges(now=0.0))
    assert judge(challenger, credentials, now=301.0) is AuthOutcome.STALE
    (fresh, *_) = challenger.challenges(now=301.0, stale=True)
    assert "stale=true" in fresh
    assert judge(challenger, answer([fresh]), now=302.0) is AuthOutcome.ACCEPTED


def test_a_nonce_that_was_not_made_here_is_stale(challenger: DigestChallenger) -> None:
    challenger.challenges(now=0.0)
    other = DigestChallenger(challenger.settings)
    assert judge(challenger, answer(other.challenges(now=0.0))) is AuthOutcome.STALE


def test_an_algorithm_that_was_not_offered_is_refused() -> None:
    strong = DigestSettings(realm="lab.example", algorithms=(DigestAlgorithm.SHA_256,))
    challenger = DigestChallenger(strong)
    (challenge,) = challenger.challenges(now=0.0)
    talked_down = answer([challenge.replace("SHA-256", "MD5")])
    assert judge(challenger, talked_down) is AuthOutcome.WRONG
    assert judge(challenger, answer([challenge])) is AuthOutcome.ACCEPTED


def test_no_credentials_for_the_realm_are_missing(challenger: DigestChallenger) -> None:
    other = DigestChallenger(DigestSettings(realm="elsewhere.example"))
    assert judge(challenger, answer(other.challenges(now=0.0))) is AuthOutcome.MISSING


def test_a_challenge_nobody_understands_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        answer(['Digest realm="a", nonce="b", algorithm=AKAv1-MD5', 'Basic realm="a"'])
