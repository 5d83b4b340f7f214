"""FIPS 140-2: OpenSSL's FIPS provider, a node's copy of it, what is approved (G25 to G27)."""
