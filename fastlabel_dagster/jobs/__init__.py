"""Jobs FastLabel runs for hours and bills: submitted once, attached to, polled, followed to their end."""
