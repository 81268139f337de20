"""Onboarding: what a sample of a venue's feed lacks, what that blinds, and first alerts."""
