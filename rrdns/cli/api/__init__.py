"""The client of the admin API, with the options of every verb that uses it."""
