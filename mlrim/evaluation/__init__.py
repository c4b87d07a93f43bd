"""Comparing predicted lattice dynamics with reference ones by the pinned protocol of docs/protocol.md."""
