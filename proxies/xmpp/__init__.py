"""XMPP: a stream without a socket, what users and routers do with stanzas, and the product's XCP services."""
