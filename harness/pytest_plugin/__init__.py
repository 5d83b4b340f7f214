"""The pytest plugin: a lab for the tests of SIP and XMPP clients, and scenarios as tests (docs/pytest.md).

pytest loads `harness.pytest_plugin.plugin` wherever this package is installed. That module imports nothing of the
lab; a suite without its fixtures pays for a few options and no more.
"""
