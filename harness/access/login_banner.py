"""The login banner of one node: Software Upgrades > Customized Logon Message (G01)."""

import unicodedata
from pathlib import Path
from typing import Final

from certs.errors import CertificateError, ConfigError
from certs.storage import read_file, sync_directory, write_atomically

MAXIMUM_SIZE: Final = 10 * 1024
"Bytes of a banner's file."

_ALLOWED_CONTROLS: Final = frozenset("\t\n\r")


class LoginBanner:
    """A text that every interface of the node shows before and after login; other nodes have their own (G01)."""

    def __init__(self, path: Path) -> None:
        """Take the file that keeps it."""
        self._path = path

    def read(self) -> str:
        """Return the text, with line feeds at line ends; empty where there is none.

        Raises ConfigError where the file was damaged since it was uploaded.
        """
        if not self._path.exists():
            return ""
        try:
            return parse_banner(read_file(self._path))
        except (ConfigError, CertificateError) as error:
            raise ConfigError(
                f"{self._path.name} is damaged: {error}. Upload it again in Software Upgrades > Customized Logon "
                "Message, or delete it there"
            ) from error

    def upload(self, file_name: str, content: bytes) -> None:
        """Upload File. Raises ConfigError where it is no .txt file of the right size with text in it."""
        if not file_name.lower().endswith(".txt"):
            raise ConfigError(f"File: expected a .txt file, seen {file_name[:100]!r}")
        text = parse_banner(content)
        write_atomically(self._path, text.encode("utf-8"))

    def delete(self) -> None:
        """Show no banner any more."""
        if self._path.exists():
            self._path.unlink()
            sync_directory(self._path.parent)


def parse_banner(content: bytes) -> str:
    """Return a banner's text. Raises ConfigError where it is too large, empty, no UTF-8 or has control characters."""
    if len(content) > MAXIMUM_SIZE:
        raise ConfigError(f"File: expected at most {MAXIMUM_SIZE} bytes, seen {len(content)}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"File: expected plain text in UTF-8, seen the byte 0x{content[error.start]:02x} at {error.start}"
        ) from None
    for position, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Cs") and character not in _ALLOWED_CONTROLS:
            raise ConfigError(
                f"File: expected plain text, seen the control character U+{ord(character):04X} at {position}"
            )
    if not text.strip():
        raise ConfigError("File: expected text, seen nothing")
    return text.replace("\r\n", "\n").replace("\r", "\n")
