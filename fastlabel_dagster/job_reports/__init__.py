"""How jobs on FastLabel's machines become Dagster events, the same from a step of a run and from a sensor's tick.

``submissions`` reads from an instance what was submitted and what was reported already; ``outcomes`` makes of an ended
job a materialization, a check evaluation, an observation; ``evaluations`` is about the models measured so far.
"""
