"""Files that are whole or not there: written beside, synced, renamed; mode 0600."""

import os
import tempfile
from pathlib import Path
from typing import Final

from certs.errors import CertificateError

TEMPORARY_PREFIX: Final = ".writing-"
"How files that are being written are named; what a kill left behind is removed by `clean_leftovers`."

MAXIMUM_FILE_SIZE: Final = 1024 * 1024
"Bytes read of one certificate file; a chain has a few thousand."


def make_directory(directory: Path) -> None:
    """Make a folder that only its owner may enter."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by new content, so that a kill at any moment leaves the old or the new one.

    Raises CertificateError where the disk does not take it.
    """
    try:
        make_directory(path.parent)
        descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise CertificateError(f"{path} cannot be written: {error.strerror}") from error


def sync_directory(directory: Path) -> None:
    """Make renames and removals in a folder survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_file(path: Path) -> bytes:
    """Return a file's content.

    Raises CertificateError where it is not there, cannot be read or is far too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_FILE_SIZE + 1)
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > MAXIMUM_FILE_SIZE:
        raise CertificateError(f"{path} is larger than {MAXIMUM_FILE_SIZE} bytes: no certificate file")
    return content


def clean_leftovers(directory: Path) -> None:
    """Remove what writes left behind that a kill cut short."""
    for leftover in directory.rglob(f"{TEMPORARY_PREFIX}*"):
        leftover.unlink(missing_ok=True)
