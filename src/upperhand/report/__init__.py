"""Figures and a page from a run folder; no jax here."""
