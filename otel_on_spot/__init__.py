"""Tools for the program beside this package: plan, simulated cloud, lab, doctor, drills, recovery, command line."""
