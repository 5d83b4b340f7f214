"""The settings of a CUCM cluster: SIP trunk security profiles, SIP trunks and lines."""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from certs.errors import ConfigError
from harness.configuration.cucm_configuration import CucmConfiguration
from harness.configuration.database import Database, sqlite_url
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk.sip_trunk_profile import (
    DeviceSecurityMode,
    IncomingTransportType,
    SipTrunk,
    SipTrunkSecurityProfile,
)

PROFILE = SipTrunkSecurityProfile(
    name="IM and Presence",
    description="for imp1",
    device_security_mode=DeviceSecurityMode.ENCRYPTED,
    incoming_transport_type=IncomingTransportType.TLS,
    outgoing_transport_type=Transport.TLS,
    x509_subject_names=frozenset({"imp1.lab.example", "imp2.lab.example"}),
    incoming_port=5061,
    accept_presence_subscription=True,
)
TRUNK = SipTrunk(
    name="to-imp1",
    destination_address="imp1.lab.example",
    destination_port=5062,
    security_profile=PROFILE.name,
)


@pytest.fixture
async def configuration(tmp_path: Path) -> AsyncIterator[CucmConfiguration]:
    database = Database(sqlite_url(tmp_path / "cluster.sqlite"))
    await database.prepare()
    yield CucmConfiguration(database)
    await database.aclose()


async def test_a_profile_and_a_trunk_come_back_as_they_were_saved(configuration: CucmConfiguration) -> None:
    await configuration.save_sip_trunk_security_profile(PROFILE)
    await configuration.save_sip_trunk(TRUNK)
    settings = await configuration.settings()
    assert settings.sip_trunk_security_profiles == (PROFILE,)
    assert settings.sip_trunks == (TRUNK,)


async def test_saving_under_an_old_name_changes_the_old_one(configuration: CucmConfiguration) -> None:
    await configuration.save_sip_trunk_security_profile(PROFILE)
    changed = dataclasses.replace(PROFILE, x509_subject_names=frozenset({"imp9.lab.example"}))
    await configuration.save_sip_trunk_security_profile(changed)
    assert (await configuration.settings()).sip_trunk_security_profiles == (changed,)


async def test_a_trunk_names_a_profile_that_is_there_or_none(configuration: CucmConfiguration) -> None:
    with pytest.raises(ConfigError, match="no SIP trunk security profile is called 'IM and Presence'"):
        await configuration.save_sip_trunk(TRUNK)
    without = dataclasses.replace(TRUNK, security_profile="")
    await configuration.save_sip_trunk(without)
    assert (await configuration.settings()).sip_trunks == (without,)


async def test_two_trunks_do_not_share_a_subject_and_port(configuration: CucmConfiguration) -> None:
    await configuration.save_sip_trunk_security_profile(PROFILE)
    await configuration.save_sip_trunk(TRUNK)
    other = dataclasses.replace(TRUNK, name="to-imp2")
    with pytest.raises(ConfigError, match="one subject name and port pair per trunk"):
        await configuration.save_sip_trunk(other)
    assert (await configuration.settings()).sip_trunks == (TRUNK,)


async def test_a_profile_in_use_is_not_deleted(configuration: CucmConfiguration) -> None:
    await configuration.save_sip_trunk_security_profile(PROFILE)
    await configuration.save_sip_trunk(TRUNK)
    with pytest.raises(ConfigError, match="'IM and Presence' is used by SIP trunk 'to-imp1'"):
        await configuration.delete_sip_trunk_security_profile(PROFILE.name)
    await configuration.delete_sip_trunk(TRUNK.name)
    await configuration.delete_sip_trunk_security_profile(PROFILE.name)
    settings = await configuration.settings()
    assert (settings.sip_trunks, settings.sip_trunk_security_profiles) == ((), ())


async def test_deleting_what_is_not_there_names_what_is(configuration: CucmConfiguration) -> None:
    await configuration.save_sip_trunk_security_profile(PROFILE)
    await configuration.save_sip_trunk(TRUNK)
    with pytest.raises(ConfigError, match="no SIP trunk is called 'to-imp2'; did you mean 'to-imp1'"):
        await configuration.delete_sip_trunk("to-imp2")
    with pytest.raises(ConfigError, match=r"called 'nothing' \(known: IM and Presence\)"):
        await configuration.delete_sip_trunk_security_profile("nothing")


async def test_lines_are_added_once(configuration: CucmConfiguration) -> None:
    await configuration.add_missing_lines(["1001", "1002"])
    await configuration.add_missing_lines(["1002", "1003"])
    assert (await configuration.settings()).lines == {"1001", "1002", "1003"}
