"""The way in: routes, client groups and upstreams as data, nginx that serves them, and what it bears."""
