"""``drill drift``: scales a Deployment by hand and times how long Argo CD takes to put it back."""
