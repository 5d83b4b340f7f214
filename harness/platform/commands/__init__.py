"""The commands, a module for each matter. A new module is imported in `register`."""


def register() -> None:
    """Fill the registry; to do it again changes nothing."""
    from harness.platform.commands import (  # noqa: F401 - each adds its commands when it is imported
        certificates,
        fips,
        requests,
        services,
        session,
        system,
        version,
    )
