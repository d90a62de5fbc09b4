"""Drills: rehearse on a living platform what will go wrong one day, and put everything back.

drill, timeline  what every drill has: platform, lease, timeline, report
lease            one drill at a time, and what it changed
undo             how each change is taken back
resilience       trying again while nobody answers, and not being ended half-way
leftovers        what interrupted drills left, put back
front_path       what a stack promises of it, looks at it all along
shortage         capacity that a drill takes away
diagnosis        why a drill stopped: the doctor's checks
drift            who puts a change by hand back, and how fast
pods             what the pods have in common that drills make
stress/             many replicas for a while, automatic sync suspended
node_join/          does a node join, and how long does each step take
spot_storm/         many Spot nodes warned at once
drought/            Spot taken away, and given back
restore_data/       a database's volume restored beside it, and moved
spot_interruption/  what a Spot warning does to a node, its pods and the front path

Each drill has its verdicts (pure functions of what was seen) and ``run``.
"""
