"""Enriched batch and state in; findings out. Pure: no feed, file, clock or random source."""
