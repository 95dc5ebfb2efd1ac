"""Admin orders: requests, the guard, cache expiry, reassignment at a reload."""
