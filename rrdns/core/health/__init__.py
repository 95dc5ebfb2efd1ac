"""Health of members: probe results, rise and fall, eligibility, drift of boot files."""
