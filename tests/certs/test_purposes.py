"""The guide's tables, as data."""

import pytest

from certs.errors import ConfigError
from certs.purposes import (
    CLIENT_CERTIFICATES,
    RESTARTS,
    SERVICE_CERTIFICATES,
    CertificatePurpose,
    ClientApplication,
    ServiceFunction,
    ServiceName,
    TrustStoreName,
)


def test_directory_trust_is_the_old_name_of_tomcat_trust() -> None:
    assert TrustStoreName.parse("directory-trust") is TrustStoreName.TOMCAT_TRUST
    assert TrustStoreName.parse("tomcat-trust") is TrustStoreName.TOMCAT_TRUST


def test_an_unknown_trust_store_is_refused_with_the_known_names() -> None:
    with pytest.raises(ConfigError, match="known are cup-trust"):
        TrustStoreName.parse("cap-trust")


def test_table_1_serves_sip_clients_tomcat_and_xmpp_clients_cup_xmpp() -> None:
    assert CLIENT_CERTIFICATES[ClientApplication.SIP_CLIENT] is CertificatePurpose.TOMCAT
    assert CLIENT_CERTIFICATES[ClientApplication.XMPP_CLIENT] is CertificatePurpose.CUP_XMPP


def test_table_2_has_a_row_for_every_function_and_exchange_shows_no_certificate() -> None:
    assert set(SERVICE_CERTIFICATES) == set(ServiceFunction)
    assert SERVICE_CERTIFICATES[ServiceFunction.EXCHANGE].own is None
    assert [use.clause for use in SERVICE_CERTIFICATES.values()] == [f"G{n:02}" for n in range(3, 12)]


def test_every_certificate_and_store_names_the_services_to_restart() -> None:
    assert set(RESTARTS) == {*CertificatePurpose, *TrustStoreName}
    assert RESTARTS[TrustStoreName.CUP_TRUST] == (ServiceName.SIP_PROXY, ServiceName.PRESENCE_ENGINE)
