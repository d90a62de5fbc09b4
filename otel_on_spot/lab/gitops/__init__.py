"""Source of Argo CD in the lab.

A snapshot of this repository, with the demo chart in it, served over HTTPS on loopback.
"""
