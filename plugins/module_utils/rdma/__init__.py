"""RDMA ports of a host: what they must be set to, what differs, and what perftest says of them. Pure but for
observe."""
