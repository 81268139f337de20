"""Abuse, each kind an injector of its own: what a detector is to find, and never sees."""
