"""Certificates of the lab: purposes and trust stores, issuing, key stores, verdicts, the import tool."""
