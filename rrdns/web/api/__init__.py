"""The contract of the admin API: endpoints, models, authentication, problems, middleware."""
