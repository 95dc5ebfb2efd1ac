"""The Kea exporter: its control channel and its config."""
