"""Ladder diagrams: who said what to whom, in order. Built from events, shown in the terminal and as SVG."""
