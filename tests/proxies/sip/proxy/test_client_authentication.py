"""The SIP proxy asks clients for a digest: who proves nothing is challenged, who lies is refused."""

import pytest

from certs.verdict import Reason
from proxies.sip.messages.digest import DigestAlgorithm, answer_challenge, parse_auth
from proxies.sip.messages.message import Request, parse_head
from proxies.sip.proxy import client_authentication
from proxies.sip.proxy.client_authentication import ClientAuthenticator

PASSWORDS = {"alice": "wonderland", "bob": "builder"}
CHALLENGES = {401: ("www-authenticate", "Authorization"), 407: ("proxy-authenticate", "Proxy-Authorization")}


@pytest.fixture
def authenticator() -> ClientAuthenticator:
    return ClientAuthenticator(node="imp1", realm="lab.example", passwords=PASSWORDS)


def request(method: str = "MESSAGE", sender: str = "alice") -> Request:
    wire = (
        f"{method} sip:lab.example SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKx\r\n"
        f"From: <sip:{sender}@lab.example>;tag=1\r\nTo: <sip:bob@lab.example>\r\nCall-ID: 1\r\n"
        f"CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    parsed = parse_head(wire.encode().removesuffix(b"\r\n"))
    assert isinstance(parsed, Request)
    return parsed


def answer(
    authenticator: ClientAuthenticator,
    asked: Request,
    username: str = "alice",
    password: str = "wonderland",
    insist_on: DigestAlgorithm | None = None,
) -> Request:
    """Return the request with the credentials that its challenge asks for."""
    needed = authenticator.check(asked, now=1.0)
    assert needed is not None
    challenge, credentials = CHALLENGES[needed.response.status]
    asked.set_header(
        credentials,
        answer_challenge(
            needed.response.headers(challenge), username=username, password=password,
            method=asked.method, uri=asked.uri, insist_on=insist_on,
        ),
    )  # fmt: skip
    return asked


@pytest.mark.parametrize(("method", "status"), [("REGISTER", 401), ("MESSAGE", 407), ("INVITE", 407)])
def test_a_request_is_challenged_and_its_answer_is_let_in(
    authenticator: ClientAuthenticator, method: str, status: int
) -> None:
    needed = authenticator.check(request(method), now=1.0)
    assert needed is not None
    assert needed.response.status == status
    assert needed.verdict is None, "no credentials are no fault yet"
    assert authenticator.check(answer(authenticator, request(method)), now=2.0) is None


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_what_cannot_be_asked_again_is_not_challenged(
    authenticator: ClientAuthenticator, method: str
) -> None:
    assert authenticator.check(request(method), now=1.0) is None


@pytest.mark.parametrize(("username", "password"), [("alice", "wrong"), ("mallory", "wonderland")])
def test_wrong_credentials_are_challenged_again_with_a_verdict(
    authenticator: ClientAuthenticator, username: str, password: str
) -> None:
    needed = authenticator.check(answer(authenticator, request(), username, password), now=2.0)
    assert needed is not None
    assert needed.response.status == 407
    assert needed.verdict is not None
    assert needed.verdict.reason is Reason.BAD_CREDENTIALS


def test_nobody_sends_in_another_one_s_name(authenticator: ClientAuthenticator) -> None:
    needed = authenticator.check(answer(authenticator, request(sender="alice"), "bob", "builder"), now=2.0)
    assert needed is not None
    assert needed.response.status == 403
    assert needed.verdict is not None
    assert needed.verdict.detail == "bob sends in the name of alice"


def test_an_answer_serves_once(authenticator: ClientAuthenticator) -> None:
    answered = answer(authenticator, request())
    assert authenticator.check(answered, now=2.0) is None
    assert authenticator.check(answered, now=3.0) is not None


def test_an_old_nonce_is_stale_and_no_fault(authenticator: ClientAuthenticator) -> None:
    needed = authenticator.check(answer(authenticator, request()), now=1000.0)
    assert needed is not None
    assert needed.verdict is None
    assert "stale=true" in next(iter(needed.response.headers("proxy-authenticate")))


def test_malformed_credentials_are_a_bad_request(authenticator: ClientAuthenticator) -> None:
    asked = request()
    asked.set_header("Proxy-Authorization", "Digest =")
    needed = authenticator.check(asked, now=1.0)
    assert needed is not None
    assert needed.response.status == 400


@pytest.mark.parametrize(("fips", "offered"), [(False, ["SHA-256", "MD5"]), (True, ["SHA-256"])])
def test_in_fips_mode_md5_is_neither_offered_nor_taken(
    monkeypatch: pytest.MonkeyPatch, fips: bool, offered: list[str]
) -> None:
    monkeypatch.setattr(client_authentication, "in_fips_mode", lambda: fips)
    authenticator = ClientAuthenticator(node="imp1", realm="lab.example", passwords=PASSWORDS)
    needed = authenticator.check(request(), now=1.0)
    assert needed is not None
    challenges = [
        parse_auth(value)[1]["algorithm"] for value in needed.response.headers("proxy-authenticate")
    ]
    assert challenges == offered
    answered = answer(authenticator, request(), insist_on=DigestAlgorithm.MD5)
    refusal = authenticator.check(answered, now=2.0)
    if not fips:
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.verdict is not None
    assert refusal.verdict.reason is Reason.NOT_FIPS_APPROVED
    assert refusal.verdict.detail == "alice answers by MD5; the challenge offers SHA-256"
