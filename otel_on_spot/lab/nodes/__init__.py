"""The nodes of the lab.

Each simulated instance joins the cluster as a kubelet would, as its own role; KWOK runs its pods.
"""
