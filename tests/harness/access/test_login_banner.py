"""The login banner takes a text file and nothing else (G01)."""

from pathlib import Path

import pytest

from certs.errors import ConfigError
from harness.access.login_banner import MAXIMUM_SIZE, LoginBanner


@pytest.fixture
def banner(tmp_path: Path) -> LoginBanner:
    return LoginBanner(tmp_path / "login-banner.txt")


def test_what_was_uploaded_is_read_and_deleted(banner: LoginBanner) -> None:
    assert banner.read() == ""
    banner.upload("Notice.TXT", "Authorised use only.\r\nZutritt für Befugte.\r\n".encode())
    assert banner.read() == "Authorised use only.\nZutritt für Befugte.\n"
    banner.upload("notice.txt", b"\xef\xbb\xbfAnother")
    assert banner.read() == "Another"
    banner.delete()
    banner.delete()
    assert banner.read() == ""


def test_markup_is_text_like_any_other(banner: LoginBanner) -> None:
    banner.upload("notice.txt", b"<script>alert(1)</script>")
    assert banner.read() == "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("notice.html", b"text", r"expected a \.txt file, seen 'notice\.html'"),
        ("", b"text", r"expected a \.txt file, seen ''"),
        ("notice.txt", b"", "expected text, seen nothing"),
        ("notice.txt", b" \r\n\t", "expected text, seen nothing"),
        ("notice.txt", b"a\xffb", "expected plain text in UTF-8, seen the byte 0xff at 1"),
        ("notice.txt", b"a\x00b", r"seen the control character U\+0000 at 1"),
        ("notice.txt", b"\x1b[31mred", r"seen the control character U\+001B at 0"),
        ("notice.txt", b"a" * (MAXIMUM_SIZE + 1), "expected at most 10240 bytes, seen 10241"),
    ],
)
def test_what_is_no_small_text_file_is_refused_and_the_old_banner_stays(
    banner: LoginBanner, name: str, content: bytes, error: str
) -> None:
    banner.upload("notice.txt", b"a" * MAXIMUM_SIZE)
    with pytest.raises(ConfigError, match=error):
        banner.upload(name, content)
    assert banner.read() == "a" * MAXIMUM_SIZE


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"a\x00", b"a" * 2_000_000])
def test_a_damaged_file_is_named_and_can_be_replaced(
    banner: LoginBanner, tmp_path: Path, damage: bytes
) -> None:
    (tmp_path / "login-banner.txt").write_bytes(damage)
    with pytest.raises(ConfigError, match=r"login-banner\.txt is damaged: .*Upload it again"):
        banner.read()
    banner.upload("notice.txt", b"whole")
    assert banner.read() == "whole"
