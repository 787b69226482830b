"""How is a run made? From its configuration to its directory, here or on a cluster."""
