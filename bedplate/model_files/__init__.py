"""Models as files: the manifests by which hosts know them (role model_store)."""
