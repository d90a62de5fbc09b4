"""Time that ``pulumi up`` takes on AWS's times, by the real engine on the simulated cloud."""
