"""Kamailio as a stateful relay: a configuration, and the command that runs it in the foreground."""

from pathlib import Path

from bench.peers import require

MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules/"

CONFIGURATION = """\
#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
tcp_children=1
tcp_connection_lifetime=3605
auto_aliases=no
dns=no
rev_dns=no
listen=tcp:{address}:{port}
{tls_listen}
mpath="{modules}"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "pv.so"
{tls_modules}
request_route {{
    $du = "sip:{next_host}:{next_port};transport=tcp";
    if (!t_relay()) {{ sl_reply_error(); }}
    exit;
}}
"""

TLS_MODULE = """\
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{folder}/{server}.crt")
modparam("tls", "private_key", "{folder}/{server}.key")
modparam("tls", "ca_list", "{folder}/{client}.crt")
modparam("tls", "require_certificate", 1)
modparam("tls", "verify_certificate", 1)
"""


def kamailio_command(
    folder: Path,
    *,
    address: str,
    port: int,
    tls_port: int,
    next_hop: tuple[str, int],
    server: str,
    client: str,
) -> list[str]:
    """Write a configuration that relays every request to the next hop; return the command to run it.

    It listens on TCP and on TLS, where it shows `server`'s certificate and lets `client`'s in, both files of the
    folder.
    """
    modules = MODULES if Path(MODULES).is_dir() else "/usr/lib/kamailio/modules/"
    configuration = CONFIGURATION.format(
        address=address,
        port=port,
        tls_listen=f"enable_tls=yes\nlisten=tls:{address}:{tls_port}",
        tls_modules=TLS_MODULE.format(folder=folder, server=server, client=client),
        modules=modules,
        next_host=next_hop[0],
        next_port=next_hop[1],
    )
    path = folder / "kamailio.cfg"
    path.write_text(configuration, encoding="utf-8")
    # Transactions stay in shared memory for five seconds: with less it refuses requests under load.
    memory = ["-m", "1024", "-M", "32"]
    runtime = ["-Y", str(folder), "-P", str(folder / "kamailio.pid")]
    return [require("kamailio"), "-DD", "-E", *memory, *runtime, "-f", str(path)]
