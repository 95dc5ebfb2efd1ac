"""The file exporter: templates, and files that are replaced atomically."""
