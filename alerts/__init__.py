"""Findings in; alerts, their evidence and case files out. Owns the store and the archive."""
