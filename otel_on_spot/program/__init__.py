"""A Pulumi program as seen from outside: how it is run, and what it registers. Plan and simulated cloud stand on it.

stack_file      Pulumi.yaml and Pulumi.<stack>.yaml, read as the engine would hand them over
runner          runs a program in this process, under a monitor
monitor         records what is registered; a plan or a cloud answers
recording       the immutable graph, and its questions
values urns     plain values out of the wire format, with markers for what is not plain; URNs as the engine makes them
eks_children eks_cluster   the children of the pulumi-eks component, and the one way in which they are made
resource_types  the table of resource types
"""
