"""SIP: sans-io cores (framing, transactions, dialogs, digest, proxy) and the services made of them."""
