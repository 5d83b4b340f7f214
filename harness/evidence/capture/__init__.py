"""The capture: what crossed every socket, written as a pcapng file that Wireshark opens decrypted."""
