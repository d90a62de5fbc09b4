"""How fast the platform is on one machine: bring-up, interruptions, scale, reverts."""
