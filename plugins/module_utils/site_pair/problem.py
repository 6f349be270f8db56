"""What went wrong, in words for the person who has to decide."""


class SiteError(Exception):
    """One sentence: what cannot be done, and what to do."""
