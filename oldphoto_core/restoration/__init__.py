"""Restoration: array in, array and report out."""
