"""A Pulumi program as seen from outside: how it is run, and what it registers. Plan and simulated cloud stand on it.

stack_file    Pulumi.yaml and Pulumi.<stack>.yaml, read as the engine would hand them over
values        plain values out of the wire format, with markers for unknowns, secrets and references
urns          URNs as the engine makes them
recording     what was registered: the immutable graph and its questions
eks_children  the children that the pulumi-eks component makes
resource_types  what replaces a resource of a type, its id, its name and its outputs
"""
