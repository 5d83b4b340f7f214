"""A FIPS provider for tests: where there is none they are skipped, and in CI they fail."""

import pytest

from certs.errors import CertificateError
from certs.fips.provider import FipsProvider, find_provider
from tests.interop.peers import missing


def require_provider() -> FipsProvider:
    try:
        return find_provider()
    except CertificateError as error:
        raise missing(f"OpenSSL's FIPS provider ({error})") from None


@pytest.fixture(scope="session")
def provider() -> FipsProvider:
    return require_provider()
