"""Events: the audit trail, the log, alarms, exporters and webhooks."""
