"""The stress drill: many replicas for a while, automatic sync suspended by a lease, then everything as it was.

preconditions  what it finds, and why it may not begin
window         the deny window that suspends automatic sync
watch          what is looked at all along: samples, also as CSV
prices         what the nodes cost
run            the drill itself
verification   whether everything is as before
verdicts       what was promised, and what was seen
plot           the samples as a picture
"""
