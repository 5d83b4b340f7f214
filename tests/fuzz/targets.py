"""All targets by name."""

from typing import Final

from tests.fuzz import sip_cores, xmpp_cores
from tests.fuzz.running import Target

CORES: Final = (
    Target("xmpp-received", xmpp_cores.received_stream),
    Target("xmpp-initiated", xmpp_cores.initiated_stream),
    Target("xmpp-websocket", xmpp_cores.websocket),
    Target("xmpp-bosh", xmpp_cores.bosh),
    Target("sasl-server", xmpp_cores.sasl_server),
    Target("sasl-client", xmpp_cores.sasl_client),
    Target("im-stanzas", xmpp_cores.session_manager),
    Target("muc-stanzas", xmpp_cores.conferences),
    Target("sip-framing", sip_cores.framing),
    Target("sip-parsing", sip_cores.parsing),
    Target("sip-values", sip_cores.values),
    Target("sip-proxy", sip_cores.proxy),
)
"What runs without a socket."
