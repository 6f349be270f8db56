"""Programs from a release archive, at exactly one version: pinned by SHA-256, switched over in one step."""
