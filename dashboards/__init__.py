"""Everything that people look at: Grafana, Prometheus rules, Alertmanager routes."""
