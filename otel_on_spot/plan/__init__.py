"""The plan: the program's recorded graph, without an account, a CLI or a network.

record               runs the program, and returns the recording
answers identities   made-up answers of AWS and Kubernetes: computed outputs, ids and names
verdict              the policy rules' verdict on it
tree manifests picture compare   what people look at
"""
