"""What helps people with the program beside it: plan, simulated cloud, lab, doctor, drills, recovery, and the command line."""
