"""The `openssl` command: the way to the FIPS provider that is not this process's own OpenSSL."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from certs.errors import CertificateError

TIMEOUT_SECONDS: Final = 60.0
"How long a command may take; an RSA key takes part of a second."


class OpensslFailed(CertificateError):  # noqa: N818 - what happened
    """The command said no; `output` is what it wrote."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output
        "Both of its outputs, in one."


def find_openssl() -> str:
    """Return the path of the command. Raises CertificateError where it is not installed."""
    found = shutil.which("openssl")
    if found is None:
        raise CertificateError("the command openssl is not installed; install OpenSSL 3 (Debian: openssl)")
    return found


def run_openssl(
    *arguments: str, environment: Mapping[str, str] | None = None, stdin: bytes = b"", cwd: Path | None = None
) -> str:
    """Run the command and return what it wrote.

    Without an environment it uses the system's configuration, whatever this process runs on. Raises OpensslFailed
    where its exit status is not 0 or its time is up, CertificateError where it is not installed.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith("OPENSSL_")}
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, its arguments ours
            [find_openssl(), *arguments],
            env={**variables, **(environment or {})},
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OpensslFailed(f"openssl {arguments[0]}: {error}", "") from error
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        lines = [line for line in output.splitlines() if line.strip()]
        said = lines[-1] if lines else f"exit status {done.returncode}"
        raise OpensslFailed(f"openssl {arguments[0]} failed: {said}", output)
    return output


def openssl_version() -> str:
    """Return the version of the command, as `3.0.17`. Raises CertificateError where it is not version 3 or later."""
    text = run_openssl("version")
    match = re.match(r"OpenSSL (\d+)\.(\d+\.\d+)", text)
    if match is None or int(match[1]) < 3:
        raise CertificateError(f"expected OpenSSL 3, seen {text.strip()!r}")
    return f"{match[1]}.{match[2]}"


def modules_directory() -> Path | None:
    """Return where the system's OpenSSL looks for providers."""
    match = re.search(r'MODULESDIR: "(.*)"', run_openssl("version", "-m"))
    return Path(match[1]) if match else None
