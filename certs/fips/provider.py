"""Finds OpenSSL's FIPS provider: the system's own, or one that `make fips-provider` put into the cache."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from certs.errors import CertificateError
from certs.fips.openssl import OpensslFailed, modules_directory, openssl_version, run_openssl

MODULE: Final = "fips.so"
"The provider's file."

SYSTEM_DIRECTORIES: Final = (
    "/usr/lib64/ossl-modules",
    "/usr/local/lib/ossl-modules",
    "/usr/local/lib64/ossl-modules",
)
"Where systems keep providers, beside what `openssl version -m` says."

HOW_TO_GET_ONE: Final = "make fips-provider gets or builds one"
"What a person can do where there is none."


@dataclass(frozen=True, slots=True, kw_only=True)
class FipsProvider:
    """A provider that can be used."""

    path: Path
    "Its file."

    origin: str
    "`system` or `cache`."


class NoFipsProvider(CertificateError):  # noqa: N818 - what is the case
    """There is no FIPS provider on this machine."""


def cache_directory() -> Path:
    """Return the folder for what was got or built, outside the repository."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "imp-harness" / "fips"


def cached_module() -> Path:
    """Return where a provider that was got or built for this system's OpenSSL is, or would be.

    Raises CertificateError where OpenSSL 3 is not installed.
    """
    return cache_directory() / f"openssl-{openssl_version()}" / MODULE


def find_provider() -> FipsProvider:
    """Return the system's provider, or the one in the cache.

    Raises NoFipsProvider where there is neither, or where none of them loads.
    """
    broken = []
    for path, origin in _candidates():
        if not path.is_file():
            continue
        try:
            check_loads(path)
        except OpensslFailed as error:
            broken.append(f"{path}: {error}")
        else:
            return FipsProvider(path=path, origin=origin)
    why = f" ({'; '.join(broken)})" if broken else ""
    raise NoFipsProvider(f"this machine has no FIPS provider of OpenSSL{why}; {HOW_TO_GET_ONE}")


def check_loads(path: Path) -> None:
    """Run the provider's self-tests once. Raises OpensslFailed where it does not load or fails one."""
    run_openssl("fipsinstall", "-module", str(path.absolute()), "-out", os.devnull, "-quiet")


def _candidates() -> list[tuple[Path, str]]:
    system = modules_directory()
    directories = [system] if system is not None else []
    directories += [Path(each) for each in SYSTEM_DIRECTORIES]
    return [*((each / MODULE, "system") for each in dict.fromkeys(directories)), (cached_module(), "cache")]
