"""A node's own copy of the cryptographic module: installed, and tested at every boot in FIPS mode (G25, G27).

    fips.so            the module
    fipsmodule.cnf     its checksum, as it was when it was installed
    openssl.cnf        what the node's process runs on (`OPENSSL_CONF`)

The tests are the provider's own: `openssl fipsinstall` has the module check its integrity and run its known-answer
tests, and reports each.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from certs.errors import CertificateError
from certs.fips.approved import APPROVED_CURVES, APPROVED_SUITES, APPROVED_TLS_1_3_SUITES
from certs.fips.openssl import OpensslFailed, run_openssl
from certs.fips.provider import MODULE, FipsProvider
from certs.storage import make_directory, write_atomically

INTEGRITY_TEST: Final = "HMAC (Module_Integrity)"
"The provider's name of its integrity check."

_CONFIGURATION: Final = "fipsmodule.cnf"
_OPENSSL_CONFIGURATION: Final = "openssl.cnf"
_RESULT: Final = re.compile(r"(\S+) : \((\w+)\) : (?:(?!Pass|Fail).)*?(Pass|Fail)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """One test that the module ran."""

    name: str
    "As `AES_GCM (KAT_Cipher)`, in the provider's words."

    passed: bool
    "Whether it passed."


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestFault:
    """A fault for one run of the self-tests: the provider's own hook spoils what a test computes.

    The names are the provider's, as in `AES_GCM (KAT_Cipher)`.
    """

    description: str
    "Which test: `AES_GCM`."

    kind: str = ""
    "Of which kind, where several have the name: `KAT_Cipher`."

    def __post_init__(self) -> None:
        for text in (self.description, self.kind):
            if not re.fullmatch(r"\w{0,40}", text):
                raise CertificateError(f"expected the name of a self-test as AES_GCM, seen {text!r}")


class SelfTestFailed(CertificateError):  # noqa: N818 - what happened
    """The module is not what it was, or computes wrongly: nothing may use it."""

    def __init__(self, test: str, detail: str) -> None:
        super().__init__(f"FIPS self-test failed: {test}: {detail}")
        self.test = test
        "The test, in the provider's words."
        self.detail = detail
        "What was seen."


class FipsModule:
    """The module of one node, in a folder of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        "The folder."

    @property
    def path(self) -> Path:
        """The module's file."""
        return self.directory / MODULE

    @property
    def is_installed(self) -> bool:
        """Whether there is one."""
        return (self.directory / _CONFIGURATION).exists()

    def install(self, provider: FipsProvider) -> tuple[SelfTest, ...]:
        """Copy a provider, have it test itself, and keep its checksum. Raises SelfTestFailed where it fails."""
        make_directory(self.directory)
        write_atomically(self.path, provider.path.read_bytes())
        made = self.directory / ".fipsmodule.cnf"
        tests = self._run_tests(made, None)
        made.replace(self.directory / _CONFIGURATION)
        write_atomically(self.directory / _OPENSSL_CONFIGURATION, self._openssl_configuration().encode())
        return tests

    def remove(self) -> None:
        """Take the module away."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def test(self, fault: SelfTestFault | None = None) -> tuple[SelfTest, ...]:
        """Check the module's integrity and run its self-tests, as at every boot; return them.

        `fault` spoils one of them, for this run. Raises SelfTestFailed where one fails.
        """
        configuration = self.directory / _CONFIGURATION
        for path in (self.path, configuration):
            if not path.is_file():
                raise SelfTestFailed(INTEGRITY_TEST, f"{path.name} is missing")
        try:
            run_openssl(
                "fipsinstall", "-verify", "-self_test_onload", "-in", str(configuration.absolute()),
                "-module", str(self.path.absolute()),
            )  # fmt: skip
        except OpensslFailed as error:
            said = [line for line in error.output.splitlines() if line and ":error:" not in line]
            raise SelfTestFailed(INTEGRITY_TEST, "; ".join(said[:2]) or str(error)) from error
        made = self.directory / ".boot.cnf"
        try:
            return self._run_tests(made, fault)
        finally:
            made.unlink(missing_ok=True)

    def environment(self) -> Mapping[str, str]:
        """Return the variables of a process that is to use the module, and nothing that is not approved."""
        return {
            "OPENSSL_CONF": str((self.directory / _OPENSSL_CONFIGURATION).absolute()),
            "OPENSSL_MODULES": str(self.directory.absolute()),
        }

    def _run_tests(self, made: Path, fault: SelfTestFault | None) -> tuple[SelfTest, ...]:
        spoiled: list[str] = []
        if fault is not None:
            spoiled = ["-corrupt_desc", fault.description]
            spoiled += ["-corrupt_type", fault.kind] if fault.kind else []
        try:
            # Without an install status in the file the module tests itself at every load, also in the node's process.
            output = run_openssl(
                "fipsinstall", "-self_test_onload", "-module", str(self.path.absolute()),
                "-out", str(made.absolute()), *spoiled,
            )  # fmt: skip
        except OpensslFailed as error:
            failed = [test.name for test in parse_self_tests(error.output) if not test.passed]
            said = [line for line in error.output.splitlines() if line.startswith(("Failed", "INSTALL"))]
            raise SelfTestFailed(
                ", ".join(dict.fromkeys(failed)) or INTEGRITY_TEST, "; ".join(said) or str(error)
            ) from error
        return parse_self_tests(output)

    def _openssl_configuration(self) -> str:
        installed = (self.directory / _CONFIGURATION).read_text(encoding="utf-8")
        return _OPENSSL_TEXT.format(
            installed=installed,
            curves=":".join(APPROVED_CURVES),
            suites=":".join(APPROVED_SUITES),
            tls_1_3=":".join(APPROVED_TLS_1_3_SUITES),
        )


def parse_self_tests(output: str) -> tuple[SelfTest, ...]:
    """Return the tests that `openssl fipsinstall` reports, in its order.

    A test that runs another one inside is reported in two pieces, so its result may stand in the next line.
    """
    found = _RESULT.findall(output.replace("\n", " "))
    return tuple(SelfTest(name=f"{name} ({kind})", passed=result == "Pass") for name, kind, result in found)


# No other section is read: an empty base provider beside FIPS reads and writes keys. Errors end the process.
_OPENSSL_TEXT: Final = """\
config_diagnostics = 1
openssl_conf = openssl_init

{installed}
[openssl_init]
providers = provider_sect
alg_section = algorithm_sect
ssl_conf = ssl_sect

[provider_sect]
fips = fips_sect
base = base_sect

[base_sect]
activate = 1

[algorithm_sect]
default_properties = fips=yes

[ssl_sect]
system_default = system_default_sect

[system_default_sect]
MinProtocol = TLSv1.2
CipherString = {suites}
Ciphersuites = {tls_1_3}
Groups = {curves}

[req]
distinguished_name = req_distinguished_name

[req_distinguished_name]
"""
