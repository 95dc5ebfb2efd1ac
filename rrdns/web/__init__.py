"""Show: the admin API, metrics and the page."""
