"""The configuration of a CUCM cluster: writes go to the database, Cisco CallManager sees them at a restart."""

import dataclasses
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from certs.errors import ConfigError
from harness.configuration.cluster_settings import CucmSettings
from harness.configuration.database import Database
from harness.configuration.database_models import LineRow, SipTrunkRow, SipTrunkSecurityProfileRow
from harness.near_matches import did_you_mean
from proxies.sip.transport.flow import Transport
from proxies.sip.trunk.sip_trunk_profile import (
    DeviceSecurityMode,
    IncomingTransportType,
    SipTrunk,
    SipTrunkSecurityProfile,
    check_trunks,
)


class CucmConfiguration:
    """Cisco Unified CM Administration, as far as it is about SIP trunks and lines (G12)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settings(self) -> CucmSettings:
        """Return all settings as they are at this moment."""
        async with self._database.read() as session:
            return CucmSettings(
                sip_trunk_security_profiles=await _profiles(session),
                sip_trunks=await _trunks(session),
                lines=frozenset(await session.scalars(select(LineRow.directory_number))),
            )

    async def save_sip_trunk_security_profile(self, profile: SipTrunkSecurityProfile) -> None:
        """Save a new profile, or a changed one under its old name.

        Raises ConfigError where it does not go with the other profiles and trunks; then nothing was saved.
        """
        async with self._database.write() as session:
            await session.merge(_profile_row(profile))
            check_trunks(await _trunks(session), await _profiles(session))

    async def delete_sip_trunk_security_profile(self, name: str) -> None:
        """Delete a profile. Raises ConfigError where there is none, or a SIP trunk uses it."""
        async with self._database.write() as session:
            row = await session.get(SipTrunkSecurityProfileRow, name)
            if row is None:
                raise await _unknown_profile(session, name)
            for trunk in await _trunks(session):
                if trunk.security_profile == name:
                    raise ConfigError(
                        f"SIP trunk security profile {name!r} is used by SIP trunk {trunk.name!r}"
                    )
            await session.delete(row)

    async def save_sip_trunk(self, trunk: SipTrunk) -> None:
        """Save a new SIP trunk, or a changed one under its old name.

        Raises ConfigError where its profile is unknown or it does not go with the other trunks; then nothing
        was saved.
        """
        async with self._database.write() as session:
            profile = trunk.security_profile
            if profile and await session.get(SipTrunkSecurityProfileRow, profile) is None:
                raise await _unknown_profile(session, profile)
            await session.merge(SipTrunkRow(**dataclasses.asdict(trunk)))
            check_trunks(await _trunks(session), await _profiles(session))

    async def delete_sip_trunk(self, name: str) -> None:
        """Delete a SIP trunk. Raises ConfigError where there is none of this name."""
        async with self._database.write() as session:
            row = await session.get(SipTrunkRow, name)
            if row is None:
                known = [trunk.name for trunk in await _trunks(session)]
                raise ConfigError(
                    f"no SIP trunk is called {name!r}{did_you_mean(name, known)} "
                    f"(known: {', '.join(known) or 'none'})"
                )
            await session.delete(row)

    async def add_missing_lines(self, directory_numbers: Iterable[str]) -> None:
        """Add those of the directory numbers that are not there yet."""
        async with self._database.write() as session:
            for directory_number in directory_numbers:
                await session.merge(LineRow(directory_number=directory_number))


async def _profiles(session: AsyncSession) -> tuple[SipTrunkSecurityProfile, ...]:
    rows = await session.scalars(select(SipTrunkSecurityProfileRow).order_by(SipTrunkSecurityProfileRow.name))
    return tuple(
        SipTrunkSecurityProfile(
            name=row.name,
            description=row.description,
            device_security_mode=DeviceSecurityMode(row.device_security_mode),
            incoming_transport_type=IncomingTransportType(row.incoming_transport_type),
            outgoing_transport_type=Transport(row.outgoing_transport_type),
            x509_subject_names=frozenset(row.x509_subject_names),
            incoming_port=row.incoming_port,
            accept_presence_subscription=row.accept_presence_subscription,
            accept_out_of_dialog_refer=row.accept_out_of_dialog_refer,
            accept_unsolicited_notification=row.accept_unsolicited_notification,
            accept_replaces_header=row.accept_replaces_header,
        )
        for row in rows
    )


def _profile_row(profile: SipTrunkSecurityProfile) -> SipTrunkSecurityProfileRow:
    return SipTrunkSecurityProfileRow(
        name=profile.name,
        description=profile.description,
        device_security_mode=profile.device_security_mode.value,
        incoming_transport_type=profile.incoming_transport_type.value,
        outgoing_transport_type=profile.outgoing_transport_type.value,
        x509_subject_names=sorted(profile.x509_subject_names),
        incoming_port=profile.incoming_port,
        accept_presence_subscription=profile.accept_presence_subscription,
        accept_out_of_dialog_refer=profile.accept_out_of_dialog_refer,
        accept_unsolicited_notification=profile.accept_unsolicited_notification,
        accept_replaces_header=profile.accept_replaces_header,
    )


async def _trunks(session: AsyncSession) -> tuple[SipTrunk, ...]:
    rows = await session.scalars(select(SipTrunkRow).order_by(SipTrunkRow.name))
    return tuple(
        SipTrunk(
            name=row.name,
            destination_address=row.destination_address,
            destination_port=row.destination_port,
            security_profile=row.security_profile,
        )
        for row in rows
    )


async def _unknown_profile(session: AsyncSession, name: str) -> ConfigError:
    known = [profile.name for profile in await _profiles(session)]
    return ConfigError(
        f"no SIP trunk security profile is called {name!r}{did_you_mean(name, known)} "
        f"(known: {', '.join(known) or 'none'})"
    )
