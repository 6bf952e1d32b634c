"""Spans of text, for programs that learn to name things."""
