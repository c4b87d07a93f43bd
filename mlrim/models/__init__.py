"""Networks, one a file, composed from the blocks in `mlrim.nn`."""
