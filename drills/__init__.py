"""Fault drills on real servers and real processes, counted by the sandbox alone: `make drill`."""
