"""Speed of the platform on one machine: bring-up, interruptions, scale, reverts."""
