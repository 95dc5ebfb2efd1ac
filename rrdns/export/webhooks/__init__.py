"""Event webhooks: what is sent, queues, delivery."""
