"""The module tests itself: as it is, spoiled by its own hook, and with one byte changed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.errors import CertificateError
from certs.fips.approved import why_not_approved
from certs.fips.issuing import ApprovedIssuer
from certs.fips.module import FipsModule, SelfTestFailed, SelfTestFault, parse_self_tests
from certs.fips.openssl import OpensslFailed, run_openssl
from certs.fips.provider import FipsProvider
from certs.issuing import CertificateSpec, KeyAlgorithm, LibraryIssuer, parse_key
from certs.key_store import KeyStore
from certs.presented import parse_certificates, parse_presented
from certs.purposes import CertificatePurpose
from tests.certs.fips.providers import provider

__all__ = ["provider"]


@pytest.fixture
def module(provider: FipsProvider, tmp_path: Path) -> FipsModule:
    made = FipsModule(tmp_path / "a folder" / "module")
    made.install(provider)
    return made


def spec(name: str = "imp1.lab.example") -> CertificateSpec:
    return CertificateSpec.for_node(name, "127.20.0.11", now=datetime.now(UTC))


def test_it_checks_its_integrity_and_computes_what_is_known(module: FipsModule) -> None:
    tests = module.test()
    assert all(each.passed for each in tests)
    names = {each.name for each in tests}
    assert {"HMAC (Module_Integrity)", "AES_GCM (KAT_Cipher)", "ECDSA (PCT_Signature)"} <= names


def test_a_spoiled_test_fails_once(module: FipsModule) -> None:
    with pytest.raises(SelfTestFailed, match=r"AES_GCM \(KAT_Cipher\)") as failed:
        module.test(SelfTestFault(description="AES_GCM", kind="KAT_Cipher"))
    assert failed.value.test == "AES_GCM (KAT_Cipher)"
    assert module.test()


def test_one_changed_byte_is_seen_for_good(module: FipsModule) -> None:
    content = bytearray(module.path.read_bytes())
    content[len(content) // 2] ^= 1
    module.path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(SelfTestFailed, match="Module_Integrity"):
            module.test()
    content[len(content) // 2] ^= 1
    module.path.write_bytes(content)
    assert module.test()


def test_a_missing_file_is_a_failed_test(module: FipsModule) -> None:
    module.path.unlink()
    with pytest.raises(SelfTestFailed, match=r"fips\.so is missing"):
        module.test()


def test_a_fault_names_a_test_and_nothing_else() -> None:
    with pytest.raises(CertificateError, match="expected the name of a self-test"):
        SelfTestFault(description="AES_GCM -noout")


def test_reports_in_two_pieces_are_read() -> None:
    output = (
        "HMAC : (Module_Integrity) : Pass\nRSA : (KAT_Signature) : RNG : (Continuous_RNG_Test) : Pass\nPass\n"
        "AES_GCM : (KAT_Cipher) : Fail\n"
    )
    assert [(each.name, each.passed) for each in parse_self_tests(output)] == [
        ("HMAC (Module_Integrity)", True),
        ("RSA (KAT_Signature)", True),
        ("AES_GCM (KAT_Cipher)", False),
    ]


def test_a_process_on_the_module_has_nothing_that_is_not_approved(module: FipsModule) -> None:
    environment = module.environment()
    assert run_openssl("dgst", "-sha256", environment=environment, stdin=b"x")
    for command in (["dgst", "-md5"], ["genrsa", "1024"], ["enc", "-chacha20", "-k", "x", "-pbkdf2"]):
        assert run_openssl(*command, stdin=b"x"), "outside FIPS mode"
        with pytest.raises(OpensslFailed):
            run_openssl(*command, environment=environment, stdin=b"x")


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_its_certificates_say_what_the_library_s_do(module: FipsModule, algorithm: KeyAlgorithm) -> None:
    made, expected = (
        issuer.issue_self_signed(spec(), algorithm) for issuer in (ApprovedIssuer(module), LibraryIssuer())
    )
    (certificate,), (twin,) = parse_certificates(made.chain_pem), parse_certificates(expected.chain_pem)
    assert certificate.public_key() == parse_key(made.key_pem).public_key()
    assert certificate.subject == certificate.issuer == twin.subject
    assert abs((certificate.not_valid_before_utc - twin.not_valid_before_utc).total_seconds()) < 60
    assert abs((certificate.not_valid_after_utc - twin.not_valid_after_utc).total_seconds()) < 60
    for extension in twin.extensions:
        same = certificate.extensions.get_extension_for_oid(extension.oid)
        assert same.critical is extension.critical
        if not isinstance(extension.value, x509.SubjectKeyIdentifier | x509.AuthorityKeyIdentifier):
            assert same.value == extension.value
    assert why_not_approved(parse_presented(certificate.public_bytes(Encoding.DER))) == ""


def test_a_signed_request_comes_back(module: FipsModule, tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys")
    pem = store.generate_csr(CertificatePurpose.CUP, spec(), KeyAlgorithm.EC_P256, ApprovedIssuer(module))
    request = x509.load_pem_x509_csr(pem)
    assert request.is_signature_valid
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["imp1.lab.example"]


def test_a_name_cannot_add_lines_to_the_request(module: FipsModule) -> None:
    with pytest.raises(CertificateError, match="cannot stand in a certificate"):
        ApprovedIssuer(module).issue_self_signed(spec("a\n[extensions_sect]"), KeyAlgorithm.EC_P256)
