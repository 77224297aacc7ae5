"""Tests of the whole command in processes of its own."""
