"""What Argo CD reads in the lab: a snapshot of this repository, with the demo chart in it, served over HTTPS on loopback."""
