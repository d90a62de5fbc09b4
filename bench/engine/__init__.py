"""How long ``pulumi up`` takes on AWS's time, by the real engine on the simulated cloud."""
