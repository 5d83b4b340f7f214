"""Debian's Prosody as the server of another domain: a configuration of its own, in the foreground, on loopback."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from certs.credential import Credential
from certs.issuing import CertificateSpec, KeyAlgorithm, issue_self_signed, make_key
from certs.storage import write_atomically
from harness.actors.xmpp import XmppClient, expect_login
from tests.interop.peers import require_program

DOMAIN = "montague.example"
CLIENT_PORT, SERVER_PORT = 5222, 5269
DIRECT_CLIENT_PORT, DIRECT_SERVER_PORT = 5223, 5280  # TLS from the first byte: XEP-0368
WAIT = 20.0

CONFIGURATION = """\
daemonize = false
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}"
plugin_paths = {{ "{folder}" }}
log = {{ debug = "*console" }}
interfaces = {{ "{address}" }}
c2s_ports = {{ {client_port} }}
s2s_ports = {{ {server_port} }}
c2s_direct_tls_ports = {{ {direct_client_port} }}
s2s_direct_tls_ports = {{ {direct_server_port} }}
http_ports = {{}}
https_ports = {{}}
modules_enabled = {{ "lab_names", "roster", "saslauth", "tls", "dialback", "smacks", "disco", "ping", "presence" }}
modules_disabled = {{ "offline" }}
storage = "internal"
authentication = "insecure"
insecure_open_authentication = "Yes please, I know what I'm doing!"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
s2s_require_encryption = {require_encryption}
s2s_secure_auth = {secure_auth}
ssl = {{ key = "{folder}/own.key", certificate = "{folder}/own.crt", cafile = "{folder}/trusted.pem" }}
VirtualHost "{domain}"
"""

NAMES = """\
-- There is no DNS here: this says where the servers of domains are.
module:set_global();
local service = require "net.resolvers.service";
local manual = require "net.resolvers.manual";
local servers = {{ {servers} }};
function service.new(hostname, _, conn_type, extra)
\tlocal targets = {{}};
\tfor _, server in ipairs(servers[hostname] or {{}}) do
\t\ttable.insert(targets, {{ conn_type, server[1], server[2], extra }});
\tend
\treturn manual.new(targets, conn_type, extra);
end
"""


@dataclass
class Prosody:
    """A Prosody that runs."""

    address: str
    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def read_log(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip())
            self.news.set()
        self.news.set()

    async def log_has(self, *texts: str) -> None:
        """Return once each text is in a line of the log."""
        try:
            async with asyncio.timeout(WAIT):
                while not all(any(text in line for line in self.lines) for text in texts):
                    assert self.process.returncode is None, "Prosody ended:\n" + "\n".join(self.lines[-40:])
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise AssertionError(f"not in Prosody's log: {texts}\n" + "\n".join(self.lines[-60:])) from None

    @asynccontextmanager
    async def client(self, user: str) -> AsyncIterator[XmppClient]:
        """Log in; any password will do, and TLS is not what these tests are about."""
        client = XmppClient(f"{user}@{DOMAIN}", "any password", None)
        client.connect(self.address, CLIENT_PORT)
        try:
            async with asyncio.timeout(WAIT):
                expect_login(f"the login of {user}", await asyncio.shield(client.outcome))
            yield client
        finally:
            client.cancel_connection_attempt()
            client.abort()
            if client._run_out_filters is not None:
                client._run_out_filters.cancel()


def prosody_credential(address: str) -> Credential:
    """Issue what Prosody shows: self-signed, with its domain."""
    spec = CertificateSpec.for_node(f"xmpp.{DOMAIN}", address, now=datetime.now(UTC), domain=DOMAIN)
    return issue_self_signed(spec, make_key(KeyAlgorithm.EC_P256))


@asynccontextmanager
async def running_prosody(
    folder: Path,
    address: str,
    *,
    credential: Credential,
    trusted: bytes = b"",
    names: Mapping[str, tuple[tuple[str, int], ...]],
    secure_auth: bool,
    require_encryption: bool = True,
) -> AsyncIterator[Prosody]:
    """Run Prosody until the block ends. `names` says where domains are, `trusted` whom it believes."""
    program = require_program("prosody")
    folder.mkdir()
    (folder / "data").mkdir()
    write_atomically(folder / "own.key", credential.key_pem)
    write_atomically(folder / "own.crt", credential.chain_pem)
    write_atomically(folder / "trusted.pem", trusted or credential.chain_pem)
    servers = ", ".join(
        f'["{domain}"] = {{ ' + ", ".join(f'{{ "{host}", {port} }}' for host, port in where) + " }"
        for domain, where in names.items()
    )
    (folder / "mod_lab_names.lua").write_text(NAMES.format(servers=servers), encoding="utf-8")
    configuration = folder / "prosody.cfg.lua"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder,
            address=address,
            client_port=CLIENT_PORT,
            server_port=SERVER_PORT,
            direct_client_port=DIRECT_CLIENT_PORT,
            direct_server_port=DIRECT_SERVER_PORT,
            require_encryption=str(require_encryption).lower(),
            secure_auth=str(secure_auth).lower(),
            domain=DOMAIN,
        ),
        encoding="utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        program, "-F", "--config", str(configuration),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    prosody = Prosody(address, process)
    reading = asyncio.create_task(prosody.read_log())
    try:
        await prosody.log_has("Activated service 'c2s'", "Activated service 's2s'")
        yield prosody
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(WAIT):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading
