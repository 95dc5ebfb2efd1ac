"""Store orders, the audit trail and the last good snapshot."""
