"""What operators do with a living platform: find what is wrong, rehearse what will go wrong.

target     which stack, cluster and account a command looks at
report     verdict table, JSON report, exit code
doctor/    facts from AWS and the cluster, and what is wrong with them
"""
