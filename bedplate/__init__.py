"""Bedplate: from one inventory to a company's own AI platform, rehearsed on a virtual twin first."""
