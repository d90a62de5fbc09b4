"""What operators do with a living platform: find what is wrong, rehearse what will go wrong.

kubernetes_api  reads and writes of its API server
lease, holding  one drill at a time, and what it changed
undo            how each change is taken back
patience        trying again while nobody answers, and not being ended half-way
drill, timeline what every drill has
leftovers       what interrupted drills left, put back
stress/         many replicas for a while, automatic sync suspended
following       watching things come about
diagnosis       why a drill stopped: the doctor's lines
node_join/      does a node join, and how long does each step take
drift/          who puts a change by hand back, and how fast
spot_interruption/  what a Spot warning does to a node, its pods and the front path
"""
