"""The nodes of the lab: each simulated instance joins the cluster as a kubelet would, as its own role; KWOK runs its pods."""
