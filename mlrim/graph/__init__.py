"""A crystal as the graph that the networks read, and the descriptors on its atoms."""
