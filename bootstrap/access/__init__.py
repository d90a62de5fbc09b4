"""Access to one AWS account: GitHub's identities, the roles that they assume, their bounds, and the state."""
