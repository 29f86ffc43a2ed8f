"""Engines: what turns pixels into vectors."""
