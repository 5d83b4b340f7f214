"""`imp-harness admin`: a node's administration from the command line, over its JSON API."""

import typer

from harness.cli.admin import certificates, node, services, session, settings

app = typer.Typer(
    help="Administer a node over its JSON API: what its pages do, for a terminal and for scripts.\n\n"
    "Begin with `imp-harness admin login https://127.20.0.11:8443 --password-file …/administrator-password`.",
    no_args_is_help=True,
)
app.command("login")(session.login)
app.command("logout")(session.logout)
app.command("node")(node.node)
app.command("verdicts")(node.verdicts)
app.command("backup")(node.backup)
app.command("restore")(node.restore)
app.command("call")(node.call)
app.add_typer(settings.app, name="settings")
app.add_typer(certificates.app, name="certificates")
app.add_typer(services.app, name="services")
app.add_typer(node.banner_app, name="banner")
