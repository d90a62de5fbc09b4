"""The plan: the program's recorded graph, without an account, a CLI or a network.

monitor        the mock monitor that records
answers        what AWS and Kubernetes would answer: computed outputs per type
eks_component  the children that the pulumi-eks component makes
record         run the program and get a recording
tree, manifests, picture, compare    what people look at
"""
