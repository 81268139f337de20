"""Versions of the alert store's tables; run from code by `alerts.store`."""
