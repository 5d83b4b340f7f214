"""What a lab is to be: the lab file, addresses and names."""
