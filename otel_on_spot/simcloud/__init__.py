"""The simulated cloud: one handler per resource type that the program declares, and two ways to them.

moto_main       moto's server in a process of its own, with a memory on disk
moto_process    starts and stops it
tables          small tables beside moto, for what moto lacks
clock faults operations   how long AWS takes, how it misbehaves, and the log of every operation
arguments       the arguments of each type that it takes, and the list of what it does not decide
service_model   holds every request against AWS's own model; tag_rules what the models do not tell of tags
cloud           all of these together: one directory is one cloud
eks_requests eks_answers   what is asked of EKS, and the reads of it that anybody's client makes
handler         what a resource type can do: check, diff, create, read, update, delete
aws/            handlers over moto
kubernetes_api  an API server in memory: objects, CRDs, finalizers
kubernetes/     its resources as the program declares them, Helm releases, and the controllers in the cluster
live delivery inventory   nodes and load balancers, events, and what is left after a destroy
provider/       Pulumi's provider protocol, for the real engine
graph cloud_answers   the recorded graph of the program, made and destroyed without a CLI
session         everything that the real engine needs, started and stopped together
"""
