"""The XMPP servers that are compared: the lab's router and connection manager, Prosody, pyjabber.

`python -m bench.xmpp_servers lab|archiving-lab|pyjabber FOLDER NODE` runs one; NODE is 1 or 2.
Prosody is configured here.
"""

import asyncio
import hashlib
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType

import uvloop
from dnslib import QTYPE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSLogger, DNSServer

from bench.peers import PATIENCE, require
from bench.servers import load
from harness.configuration.database import Database, sqlite_url
from harness.im_store.store import DatabaseImStore
from harness.replication.component_places import DatabaseComponentPlaces
from proxies.clock import LoopClock
from proxies.observer import NullObserver
from proxies.xmpp.clients.connection_manager import ConnectionManager, ConnectionManagerSettings
from proxies.xmpp.router.attachment import RouterAttachment
from proxies.xmpp.router.directory import RouterAddress
from proxies.xmpp.router.xcp_router import OpenImStore, XcpRouter, XcpRouterSettings
from proxies.xmpp.sasl.scram_keys import UserCredentials, make_credentials

DOMAIN = "bench.example"
PASSWORD = "correct horse"
CLIENT_PORT, SERVER_PORT = 5222, 5269
LAB = {1: "127.61.0.1", 2: "127.61.0.2"}
PROSODY = {1: "127.61.0.3", 2: "127.61.0.4"}
PYJABBER = "127.61.0.5"
RESOLVER = ("127.61.0.6", 5353)
NODE_NAMES = {1: "one.bench.example", 2: "two.bench.example"}
"The lab's nodes, and Prosody's two domains: it has no nodes of one domain, so it federates."


def lab_user(node: int, number: int) -> str:
    """Return a user's name; the first letter tells the home node."""
    return f"{'ab'[node - 1]}{number}"


class _Directory:
    """Two nodes, with users assigned by the first letter of their names."""

    def __init__(self, node: int) -> None:
        other = 3 - node
        self._routers = MappingProxyType(
            {NODE_NAMES[other]: RouterAddress(fqdn=NODE_NAMES[other], address=LAB[other], port=7400)}
        )

    def home_node(self, localpart: str) -> str | None:
        """Return the node of a user."""
        return NODE_NAMES[1 if localpart[0] == "a" else 2]

    def component_node(self, domain: str) -> str | None:
        """Return nothing: there are no components."""
        return None

    def component_domains(self) -> frozenset[str]:
        """Return nothing: there are no components."""
        return frozenset()

    def federation_node(self) -> str | None:
        """Return nothing: the two nodes are of one domain."""
        return None

    def routers(self) -> Mapping[str, RouterAddress]:
        """Return the other node's router."""
        return self._routers

    def follow(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Tell nothing: the two nodes stay as they are."""
        return lambda: None


async def serve_lab(folder: Path, node: int, *, archive: bool = False) -> None:
    """Run a node's router and connection manager with both secure modes on, until killed."""
    attachment, directory, clock, observer = RouterAttachment(), _Directory(node), LoopClock(), NullObserver()
    fqdn = NODE_NAMES[node]
    credential = load(folder, fqdn)
    trusted = tuple(load(folder, name).chain_pem for name in NODE_NAMES.values())

    conference_domain = f"conference-{node}-bench.{DOMAIN}"
    database = Database(sqlite_url(folder / "lab.sqlite"))
    await database.prepare()

    async def open_store() -> OpenImStore:
        return await DatabaseImStore.open(database, clock, node=fqdn, conference_domain=conference_domain)

    router = XcpRouter(
        XcpRouterSettings(
            node=fqdn,
            fqdn=fqdn,
            address=LAB[node],
            domains=frozenset({DOMAIN}),
            conference_domain=conference_domain,
            secure_mode=True,
            message_archiver=archive,
            credential=credential,
        ),
        attachment=attachment,
        directory=directory,
        trusted=lambda: trusted,
        places=DatabaseComponentPlaces(database, fqdn),
        open_store=open_store,
        clock=clock,
        observer=observer,
    )
    password: UserCredentials = make_credentials(PASSWORD)
    manager = ConnectionManager(
        ConnectionManagerSettings(
            node=fqdn,
            fqdn=fqdn,
            address=LAB[node],
            port=CLIENT_PORT,
            domains=frozenset({DOMAIN}),
            credential=credential,
        ),
        attachment=attachment,
        directory=directory,
        find_credentials=lambda name: password,
        clock=clock,
        observer=observer,
    )
    await router.start()
    await manager.start()
    await asyncio.Event().wait()


async def serve_pyjabber(folder: Path, node: int) -> None:
    """Run pyjabber on its one address, which is its domain, until killed."""
    from loguru import logger
    from pyjabber import server
    from pyjabber.server_parameters import Parameters

    server.setup_query_local_ip = lambda: None  # or it would listen beyond the loopback addresses, too
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    name = NODE_NAMES[node]
    for suffix, made in (("cert", "crt"), ("key", "key")):
        (folder / f"{PYJABBER}_{suffix}.pem").write_bytes((folder / f"{name}.{made}").read_bytes())
    settings = Parameters(
        host=PYJABBER,
        client_port=CLIENT_PORT,
        server_port=SERVER_PORT,
        database_path=str(folder / "pyjabber.db"),
        cert_path=str(folder),
        message_persistence=False,
    )
    await server.Server(settings).start()


def make_pyjabber_users(folder: Path, users: int) -> None:
    """Write accounts into the database of a pyjabber that runs, with the iterations that the others have."""
    keys = make_credentials(PASSWORD).scram_sha_1
    derived = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), keys.salt, keys.iterations)
    password = f"sha256${keys.iterations}${keys.salt.hex()}${derived.hex()}"
    rows = [(lab_user(1, number), password) for number in range(users)]
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with closing(sqlite3.connect(folder / "pyjabber.db")) as database, database:
                database.executemany("INSERT INTO credentials (jid, hash_pwd) VALUES (?, ?)", rows)
        except sqlite3.OperationalError:  # it listens before its tables are there
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


PROSODY_CONFIGURATION = """\
daemonize = false
run_as_root = true
pidfile = "{folder}/prosody{node}.pid"
data_path = "{folder}/data{node}"
certificates = "{folder}"
plugin_paths = {{}}
log = {{ warn = "*console" }}
network_backend = "epoll"
interfaces = {{ "{address}" }}
c2s_ports = {{ {client_port} }}
s2s_ports = {{ {server_port} }}
c2s_direct_tls_ports = {{}}
s2s_direct_tls_ports = {{}}
modules_enabled = {{ "roster", "saslauth", "tls", "dialback", "disco", "ping", "presence", "message", "iq" }}
modules_disabled = {{ "offline", "s2s_auth_certs" }}
authentication = "internal_hashed"
storage = "internal"
c2s_require_encryption = true
s2s_require_encryption = true
s2s_secure_auth = false
unbound = {{
    resolvconf = false, hoststxt = false, forward = {{ "{resolver}@{resolver_port}" }},
    options = {{ ["do-not-query-localhost:"] = "no" }},
}}
ssl = {{ key = "{folder}/{name}.key", certificate = "{folder}/{name}.crt" }}
VirtualHost "{name}"
"""


class _Addresses(BaseResolver):
    """The addresses of Prosody's two domains."""

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        """Answer a query for an address; any other name or type gets an empty answer."""
        reply = request.reply()
        addresses = {NODE_NAMES[node]: PROSODY[node] for node in PROSODY}
        address = addresses.get(str(request.q.qname).rstrip("."))
        if address is not None and request.q.qtype == QTYPE.A:
            reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=300))
        return reply


@contextmanager
def resolving() -> Iterator[None]:
    """Serve DNS to the two Prosodys: one finds the other by it."""
    server = DNSServer(
        _Addresses(), address=RESOLVER[0], port=RESOLVER[1], logger=DNSLogger("-request,-reply")
    )
    server.start_thread()
    try:
        yield
    finally:
        server.stop()


def prosody_command(folder: Path, node: int, users: int) -> list[str]:
    """Write the configuration and accounts of one Prosody; return the command that runs it."""
    name = NODE_NAMES[node]
    keys = make_credentials(PASSWORD).scram_sha_1
    salt = "".join(f"\\{octet:03}" for octet in keys.salt)
    account = (
        "return {\n"
        f'\t["iteration_count"] = {keys.iterations};\n'
        f'\t["salt"] = "{salt}";\n'
        f'\t["stored_key"] = "{keys.stored_key.hex()}";\n'
        f'\t["server_key"] = "{keys.server_key.hex()}";\n'
        "};\n"
    )
    accounts = folder / f"data{node}" / name.replace(".", "%2e") / "accounts"
    accounts.mkdir(parents=True)
    for number in range(users):
        (accounts / f"{lab_user(node, number)}.dat").write_text(account, encoding="utf-8")
    path = folder / f"prosody{node}.cfg.lua"
    path.write_text(
        PROSODY_CONFIGURATION.format(
            folder=folder,
            node=node,
            name=name,
            address=PROSODY[node],
            client_port=CLIENT_PORT,
            server_port=SERVER_PORT,
            resolver=RESOLVER[0],
            resolver_port=RESOLVER[1],
        ),
        encoding="utf-8",
    )
    return [require("prosody"), "-F", "--config", str(path)]


if __name__ == "__main__":
    servers = {
        "lab": serve_lab,
        "archiving-lab": partial(serve_lab, archive=True),
        "pyjabber": serve_pyjabber,
    }
    serve = servers[sys.argv[1]]
    uvloop.run(serve(Path(sys.argv[2]), int(sys.argv[3])))
