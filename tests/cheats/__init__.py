"""Cheating patches, and the honest ones beside them, generated over small repositories of several languages."""
