"""Cisco CallManager: SIP trunks, their security profiles and the lines behind them."""
