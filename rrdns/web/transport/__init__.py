"""HTTP connections of the admin API: accepting, limits, TLS."""
