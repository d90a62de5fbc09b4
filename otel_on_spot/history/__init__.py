"""The history: what became of each NodeClaim, what Spot saved, and a page for each incident.

lives    what is known of each NodeClaim, out of what the sources still have; kept ones of an earlier look among them
sources  the calls to the Kubernetes API and EC2
pages    the table, savings and incidents as text
"""
