"""The delegation check: observations, findings and the report."""
