"""Gets a FIPS provider for a system that has none: Debian's package of it, or Debian's source package of OpenSSL.

Nothing on the system changes: apt downloads into a folder of its own, from the sources that the system trusts.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from certs.errors import CertificateError
from certs.fips.openssl import openssl_version
from certs.fips.provider import (
    MODULE,
    FipsProvider,
    NoFipsProvider,
    cached_module,
    check_loads,
    find_provider,
)
from certs.storage import make_directory

PACKAGE: Final = "openssl-provider-fips"
"Debian's package of the provider, from Debian 13 on."

TOOLS: Final = ("gcc", "make", "perl")
"What a build needs (Debian: build-essential and perl)."

CONFIGURATION: Final = ("enable-fips", "no-tests", "no-legacy", "no-engine", "shared")
"How OpenSSL is configured for the build."

_APT_SECONDS: Final = 300.0
_BUILD_SECONDS: Final = 900.0
_MAXIMUM_SOURCE: Final = 512 * 1024 * 1024

Progress = Callable[[str], None]
"Is told what is being done."


@dataclass(frozen=True, slots=True)
class SourcePackage:
    """A version of Debian's source package of OpenSSL: its upstream sources."""

    version: str
    "Debian's version."

    file_name: str
    "The archive of upstream's sources."

    sha256: str
    "Its SHA-256, from a list that Debian signed."


def get_provider(progress: Progress) -> FipsProvider:
    """Return a provider; where there is none, get or build one into the cache.

    Raises NoFipsProvider, which says what was tried, where neither works.
    """
    try:
        return find_provider()
    except NoFipsProvider:
        pass
    target = cached_module()
    make_directory(target.parent)
    with _only_one(target.parent):
        if not target.is_file():
            _make(target, progress)
    return find_provider()


def _make(target: Path, progress: Progress) -> None:
    if shutil.which("apt-get") is None:
        raise NoFipsProvider(
            "this machine has no FIPS provider of OpenSSL and no apt to get one with; install your system's (RHEL: "
            "openssl-fips-provider, Ubuntu Pro: pro enable fips)"
        )
    tried = []
    with tempfile.TemporaryDirectory(prefix="fips-", dir=target.parent) as folder:
        for attempt in (_download_package, _build):
            work = Path(folder, attempt.__name__)
            work.mkdir()
            try:
                made = attempt(work, progress)
                check_loads(made)
            except CertificateError as error:
                tried.append(str(error))
                continue
            made.chmod(0o644)
            made.replace(target)
            return
    raise NoFipsProvider(f"no FIPS provider can be had: {'; '.join(tried)}")


# Debian's package.


def _download_package(work: Path, progress: Progress) -> Path:
    """Return the provider of Debian's package."""
    if f"Package: {PACKAGE}" not in _run("apt-cache", "show", PACKAGE, cwd=work, may_fail=True):
        raise CertificateError(f"this Debian has no package {PACKAGE}")
    progress(f"downloading {PACKAGE}")
    _run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", PACKAGE, cwd=work)
    (package,) = work.glob("*.deb")
    _run("dpkg-deb", "-x", str(package), "unpacked", cwd=work)
    for module in Path(work, "unpacked").rglob(MODULE):
        return module
    raise CertificateError(f"{PACKAGE} holds no {MODULE}")


# Debian's source package.


def _build(work: Path, progress: Progress) -> Path:
    """Return the provider built from Debian's source package of OpenSSL: this system's version, or the nearest."""
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacking:
        raise CertificateError(
            f"a build needs {', '.join(lacking)} (Debian: apt-get install build-essential perl)"
        )
    progress("looking for Debian's source package of openssl")
    apt = _private_apt(work)
    _run("apt-get", *apt, "-qq", "update", cwd=work)
    wanted = openssl_version()
    packages = parse_source_packages(_run("apt-cache", *apt, "showsrc", "openssl", cwd=work))
    errors = []
    # The version of the system first; another one of the same branch works as well, older servers of Debian
    # drop the files of a version that their list still names.
    for package in sorted(packages, key=lambda each: each.version.startswith(wanted), reverse=True):
        try:
            archive = _download_source(package, apt, work, progress)
        except CertificateError as error:
            errors.append(str(error))
            continue
        return _compile(archive, package, work, progress)
    raise CertificateError("; ".join(errors) or "Debian's lists name no source package of openssl")


def parse_source_packages(listing: str) -> list[SourcePackage]:
    """Return the versions in the output of `apt-cache showsrc openssl`."""
    found = []
    for stanza in listing.split("\n\n"):
        version = re.search(r"^Version: (\S+)$", stanza, re.MULTILINE)
        checksums = re.search(r"^Checksums-Sha256:\s*\n((?: .*\n?)+)", stanza, re.MULTILINE)
        if version is None or checksums is None:
            continue
        for sha256, name in re.findall(r"^ ([0-9a-f]{64}) \d+ (\S+)$", checksums[1], re.MULTILINE):
            if re.fullmatch(r"openssl_[\w.~-]+\.orig\.tar\.(?:gz|xz|bz2)", name):
                found.append(SourcePackage(version[1], name, sha256))
    return list(dict.fromkeys(found))


def _download_source(package: SourcePackage, apt: list[str], work: Path, progress: Progress) -> Path:
    progress(f"downloading the sources of openssl {package.version}")
    archive = work / package.file_name
    # apt says no where one of the package's other files is not to be had; the sources alone are enough.
    said = _run(
        "apt-get",
        *apt,
        "-qq",
        "source",
        "--download-only",
        f"openssl={package.version}",
        cwd=work,
        may_fail=True,
    )
    if not archive.is_file():
        lines = [line for line in said.splitlines() if line.startswith("E:")]
        raise CertificateError(
            f"the sources of openssl {package.version} cannot be downloaded: {' '.join(lines[:2])}"
        )
    with archive.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != package.sha256:
            raise CertificateError(f"{package.file_name} is not what Debian's list says: its SHA-256 differs")
    return archive


def _compile(archive: Path, package: SourcePackage, work: Path, progress: Progress) -> Path:
    if archive.stat().st_size > _MAXIMUM_SOURCE:
        raise CertificateError(f"{archive.name} is far too large for OpenSSL")
    (work / "source").mkdir()
    _run("tar", "--no-same-owner", "-xf", str(archive), "-C", "source", cwd=work)
    (source,) = (work / "source").iterdir()
    progress(f"building providers/{MODULE} of openssl {package.version}")
    jobs = f"-j{os.cpu_count() or 1}"
    _run("perl", "./Configure", *CONFIGURATION, cwd=source, seconds=_BUILD_SECONDS)
    _run("make", "-s", jobs, "build_generated", cwd=source, seconds=_BUILD_SECONDS)
    _run("make", "-s", jobs, f"providers/{MODULE}", cwd=source, seconds=_BUILD_SECONDS)
    return source / "providers" / MODULE


def _private_apt(work: Path) -> list[str]:
    """Return options that let apt keep its lists here, and look for sources where the system looks for packages."""
    sources = work / "source.list"
    sources.write_text(source_entries(Path("/etc/apt")), encoding="utf-8")
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    return [
        "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null",
        "-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}",
        "-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1",
    ]  # fmt: skip


def source_entries(apt_directory: Path) -> str:
    """Return a sources list with a `deb-src` line for every Debian archive that the system has a `deb` line for."""
    lines: dict[str, None] = {}
    lists = [apt_directory / "sources.list", *sorted((apt_directory / "sources.list.d").glob("*.list"))]
    for path in lists:
        if path.is_file():
            for line in path.read_text("utf-8", "replace").splitlines():
                match = re.match(r"\s*deb(?:-src)?\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)", line)
                if match and "debian" in match[2]:
                    lines[
                        f"deb-src {match[1] or ''}{match[2]} {match[3]} {match[4].split('#')[0].strip()}"
                    ] = None
    for path in sorted((apt_directory / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text("utf-8", "replace")):
            for line in _entries_of_stanza(stanza):
                lines[line] = None
    return "".join(f"{line}\n" for line in lines)


def _entries_of_stanza(stanza: str) -> Iterator[str]:
    fields = {
        name.lower(): value.strip()
        for name, value in re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", stanza, re.MULTILINE)
    }
    if "uris" not in fields or "suites" not in fields or fields.get("enabled", "yes").lower() == "no":
        return
    signed_by = fields.get("signed-by", "")
    options = f"[signed-by={signed_by}] " if signed_by.startswith("/") else ""
    for uri in fields["uris"].split():
        if "debian" in uri:
            for suite in fields["suites"].split():
                yield f"deb-src {options}{uri} {suite} {fields.get('components', '')}".rstrip()


def _run(*command: str, cwd: Path, seconds: float = _APT_SECONDS, may_fail: bool = False) -> str:
    """Run a command in a folder and return its output. Raises CertificateError where it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENSSL_")}
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            command,
            cwd=cwd,
            env={**environment, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CertificateError(f"{command[0]}: {error}") from error
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0 and not may_fail:
        raise CertificateError(f"{command[0]} failed: {' '.join(output.split()[-40:])}")
    return output


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let a second run wait for the first, and then find what it made."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
