"""Jobs FastLabel runs for hours and bills: submitted once, attached to, polled, followed to their end.

``kinds`` says what is particular about each kind of job, ``ledger`` what was submitted and whose turn it is,
``submission`` starts or attaches, ``following`` polls. Nothing here knows of Dagster.
"""
