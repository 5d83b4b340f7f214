"""The page about refused handshakes says what happens."""

from certs.wrong import FAULTS, WrongCertificate
from tests.integration.tls_verdict_table import PAGE, VERSIONS, make_page


async def test_the_page_is_what_real_handshakes_show() -> None:
    assert await make_page() == PAGE.read_text(encoding="utf-8"), (
        "run `python -m tests.integration.tls_verdict_table` and look at the difference"
    )


def test_the_judging_side_of_the_page_gives_the_reasons_of_the_table_of_faults() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for fault in WrongCertificate:
        for version in VERSIONS:
            (client,) = [x for x in lines if x.startswith(f"| client: `{fault}`") and f"| {version} |" in x]
            (server,) = [x for x in lines if x.startswith(f"| server: `{fault}`") and f"| {version} |" in x]
            assert f"**{FAULTS[fault].reason_as_client}**" in client.split("|")[3]
            assert f"**{FAULTS[fault].reason_as_server}**" in server.split("|")[4]
