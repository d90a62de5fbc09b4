"""``drill spot-interruption``: warns one Spot node of its end, and watches it, its pods and the front path."""
