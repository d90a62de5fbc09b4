"""The doctor: collects facts once, then judges them with pure functions.

declared     what the stack's program declares, as plain values
facts        what was seen: one frozen dataclass, JSON and back
collecting/  the calls to AWS and the Kubernetes API
verdicts/    facts in, findings out; no call is made there
examine      all of it in order
"""
