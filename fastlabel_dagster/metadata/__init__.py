"""What a person sees in the Dagster UI beside an asset: numbers, tables, pictures.

``tables`` turns reports into metadata, ``summary`` counts labels in one pass, ``pictures`` and ``sheet`` draw.
Nothing is re-exported here: a code location that only needs ``tables`` to load does not pay for Arrow and NumPy.
"""
