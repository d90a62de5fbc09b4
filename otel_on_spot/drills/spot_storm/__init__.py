"""The spot-storm drill: many Spot nodes are warned at once, and the front path answers all along."""
