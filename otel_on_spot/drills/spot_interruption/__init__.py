"""``drill spot-interruption``: warns one Spot node of its end, and watches what becomes of it, its pods and the front path."""
