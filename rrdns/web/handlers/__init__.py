"""What answers the requests of the admin API, by subject."""
