"""The lab's name server: `zones` says what names mean, `answering` how, `server` has the sockets."""
