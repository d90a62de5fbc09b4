"""The drought drill: Spot is taken away, pods fall back to On-Demand, Spot comes back, and so do they."""
