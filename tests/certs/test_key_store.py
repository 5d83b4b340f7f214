"""A node's certificates on disk survive kills, damage and mix-ups."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certs.authority import CertificateAuthority
from certs.credential import Credential
from certs.errors import CertificateError
from certs.issuing import CertificateSpec, KeyAlgorithm, LibraryIssuer, issue_self_signed, make_key
from certs.key_store import KeyStore
from certs.presented import parse_certificates
from certs.purposes import CertificatePurpose, TrustStoreName

CUP, CUP_TRUST = CertificatePurpose.CUP, TrustStoreName.CUP_TRUST
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def self_signed(fqdn: str = "imp1.example") -> Credential:
    spec = CertificateSpec.for_node(fqdn, "127.0.0.1", now=NOW)
    return issue_self_signed(spec, make_key(KeyAlgorithm.EC_P256))


@pytest.fixture
def key_store(tmp_path: Path) -> KeyStore:
    store = KeyStore(tmp_path / "imp1")
    store.ensure_own([CUP], lambda purpose: self_signed())
    return store


def test_keys_are_for_their_owner_only(key_store: KeyStore) -> None:
    path = key_store.directory / "own" / "cup.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_certificates_survive_a_restart_and_are_made_once(key_store: KeyStore) -> None:
    before = key_store.own(CUP)
    again = KeyStore(key_store.directory)
    again.ensure_own([CUP], lambda purpose: self_signed("other.example"))
    assert again.own(CUP) == before


def test_the_download_holds_no_key(key_store: KeyStore) -> None:
    pem = key_store.certificate_pem(CUP)
    assert pem.startswith(b"-----BEGIN CERTIFICATE-----")
    assert b"PRIVATE" not in pem


def test_a_key_that_does_not_belong_to_its_certificate_is_noticed(key_store: KeyStore) -> None:
    other = self_signed()
    key_store.set_own(CUP, Credential(chain_pem=key_store.own(CUP).chain_pem, key_pem=other.key_pem))
    with pytest.raises(CertificateError, match="do not belong together; regenerate cup"):
        key_store.own(CUP)


def test_a_truncated_file_is_named_and_leaves_the_rest_usable(key_store: KeyStore) -> None:
    key_store.set_own(CertificatePurpose.TOMCAT, self_signed())
    path = key_store.directory / "own" / "cup.pem"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CertificateError, match=r"own/cup\.pem is damaged"):
        key_store.own(CUP)
    assert key_store.own(CertificatePurpose.TOMCAT)


def test_a_trusted_certificate_is_listed_once_and_deleted_by_fingerprint(key_store: KeyStore) -> None:
    pem = self_signed("cucm1.example").chain_pem
    (entry,) = key_store.add_trust(CUP_TRUST, pem)
    key_store.add_trust(CUP_TRUST, pem)
    assert [trusted.certificate.common_name for trusted in key_store.trust(CUP_TRUST)] == ["cucm1.example"]
    key_store.delete_trust(CUP_TRUST, entry.certificate.sha256)
    assert key_store.trust(CUP_TRUST) == ()


def test_deleting_what_is_not_there_says_so(key_store: KeyStore) -> None:
    with pytest.raises(CertificateError, match="no certificate with the fingerprint"):
        key_store.delete_trust(CUP_TRUST, "0" * 64)


def test_a_fingerprint_is_no_path(key_store: KeyStore) -> None:
    with pytest.raises(CertificateError, match="64 hexadecimal digits"):
        key_store.delete_trust(CUP_TRUST, "../../own/cup")


def test_an_upload_without_a_certificate_changes_nothing(key_store: KeyStore) -> None:
    with pytest.raises(CertificateError, match="BEGIN CERTIFICATE"):
        key_store.add_trust(CUP_TRUST, b"hello")
    assert key_store.trust(CUP_TRUST) == ()


def test_the_digest_follows_the_content_and_comes_back_with_it(key_store: KeyStore) -> None:
    empty = key_store.digest(CUP_TRUST)
    (entry,) = key_store.add_trust(CUP_TRUST, self_signed().chain_pem)
    assert key_store.digest(CUP_TRUST) != empty
    key_store.delete_trust(CUP_TRUST, entry.certificate.sha256)
    assert key_store.digest(CUP_TRUST) == empty


def test_a_signed_request_takes_the_place_of_the_self_signed_certificate(
    key_store: KeyStore, tmp_path: Path
) -> None:
    authority = CertificateAuthority.load_or_create(tmp_path / "ca")
    spec = CertificateSpec.for_node("imp1.example", "127.0.0.1", now=NOW)
    request = key_store.generate_csr(CUP, spec, KeyAlgorithm.EC_P256, LibraryIssuer())
    before = key_store.own(CUP)
    chain = authority.sign_csr(request, spec)
    assert key_store.own(CUP) == before, "a pending request changes nothing (G16)"
    key_store.upload_signed(CUP, chain)
    assert len(parse_certificates(key_store.own(CUP).chain_pem)) == 2


def test_a_certificate_for_another_key_is_no_answer_to_the_request(key_store: KeyStore) -> None:
    spec = CertificateSpec.for_node("imp1.example", "127.0.0.1", now=NOW)
    key_store.generate_csr(CUP, spec, KeyAlgorithm.EC_P256, LibraryIssuer())
    with pytest.raises(CertificateError, match=r"does not belong to the pending cup\.csr"):
        key_store.upload_signed(CUP, self_signed().chain_pem)


def test_without_a_request_there_is_nothing_to_answer(key_store: KeyStore) -> None:
    with pytest.raises(CertificateError, match=r"no cup\.csr is pending"):
        key_store.upload_signed(CUP, self_signed().chain_pem)


def test_an_authority_is_the_same_after_a_restart(tmp_path: Path) -> None:
    made = CertificateAuthority.load_or_create(tmp_path)
    assert CertificateAuthority.load_or_create(tmp_path) == made


WRITER = """
import sys
from pathlib import Path
from certs.key_store import KeyStore
from certs.purposes import CertificatePurpose, TrustStoreName
from tests.certs.test_key_store import self_signed
store = KeyStore(Path(sys.argv[1]))
credentials = [self_signed(f"n{n}.example") for n in range(5)]
print("ready", flush=True)
while True:
    for credential in credentials:
        store.set_own(CertificatePurpose.CUP, credential)
        (entry,) = store.add_trust(TrustStoreName.CUP_TRUST, credential.chain_pem)
        store.delete_trust(TrustStoreName.CUP_TRUST, entry.certificate.sha256)
"""


def test_a_kill_at_any_moment_leaves_every_file_whole(key_store: KeyStore) -> None:
    for kill in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(key_store.directory)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(0.004 * kill)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        reopened = KeyStore(key_store.directory)
        assert reopened.own(CUP)
        reopened.trust(CUP_TRUST)
        assert not list(key_store.directory.rglob(".writing-*"))
