"""The controller's side of certificates: what the authority has, what it lacks, what it may sign."""
