"""Figures on this machine, as JSON lines: `make bench`."""
