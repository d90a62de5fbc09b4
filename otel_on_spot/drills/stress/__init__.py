"""The stress drill: many replicas for a while, automatic sync suspended by a lease, and everything as it was afterwards.

beginning  what it finds, and why it may not begin
window     the deny window that suspends automatic sync
watching   what is looked at all along
prices     what the nodes cost
run        the drill itself
judging    its verdicts
record     CSV
plot       the picture
"""
