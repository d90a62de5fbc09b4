"""The plan: the program's recorded graph, without an account, a CLI or a network.

record               runs the program, and returns the recording
answers              made-up answers of AWS and Kubernetes: ids, names, computed outputs, a VPC that is there
verdict              the policy rules' verdict on it
tree manifests picture compare   what people look at
"""
