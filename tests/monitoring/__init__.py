"""What is shipped to watch rrdns with: checked by Prometheus itself, and against /metrics."""
