"""What is watched: rules as data, dashboards and targets, rendered for whoever runs Prometheus."""
