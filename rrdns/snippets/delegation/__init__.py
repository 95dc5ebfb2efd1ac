"""Records and config for the parent zone and for resolvers."""
