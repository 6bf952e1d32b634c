"""Stretches of sound: who speaks when, and labels of an audio track."""
