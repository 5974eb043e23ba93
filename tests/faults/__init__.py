"""Faults: what dies, hangs or is away."""
