"""The doctor: collects facts once, then judges them with pure functions.

facts        everything that is known of a platform: one frozen value, JSON and back
collectors/  the calls to AWS and the Kubernetes API
check        what a check is, and what it results in
checks/      facts in, findings out; no call is made there
examine      all of it in order
"""
