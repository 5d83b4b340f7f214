"""Whether this process uses approved algorithms only."""

import _hashlib
import os
import ssl
from functools import cache
from typing import Final

_VARIABLES: Final = ("OPENSSL_CONF", "OPENSSL_MODULES")


@cache
def in_fips_mode() -> bool:
    """Return whether the OpenSSL of this process fetches FIPS-approved algorithms only.

    OpenSSL says so itself (EVP_default_properties_is_fips_enabled); it is settled when the process starts, by
    `OPENSSL_CONF`, and holds until the process ends.
    """
    return bool(_hashlib.get_fips_mode())


def settle_openssl() -> None:
    """Let Python's OpenSSL read its configuration now, and no other one of this process after it.

    The library cryptography carries an OpenSSL of its own, which reads the same variables when it is imported. In a
    FIPS process both would then load one copy of the provider, whose state is one for all: the second start breaks
    the first one's random numbers. So this comes before cryptography is imported; that reads certificates and keys
    outside the module, and makes none.
    """
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    in_fips_mode()
    for name in _VARIABLES:
        os.environ.pop(name, None)
