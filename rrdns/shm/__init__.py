"""Memory that processes share: response counters, rotation counters and rate limit buckets."""
