"""What proves an identity is not in the evidence."""

import pytest

from proxies.xmpp.streams.masking import mask_credentials

SECRET = b"AGFsaWNlAHNlY3JldA=="


@pytest.mark.parametrize(
    "wire",
    [
        b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%b</auth>",
        b"<s:auth xmlns:s='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%b</s:auth>",
        b"<body rid='1'><my-sasl.1:response>%b</my-sasl.1:response></body>",
        b"%b",
        b"%b</s:auth>",
    ],
)
def test_a_login_is_masked_however_it_is_written(wire: bytes) -> None:
    assert mask_credentials(wire % SECRET) == wire % b"***"
