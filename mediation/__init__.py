"""Mediation: the world's files come in here, and every record ends in exactly one place."""
