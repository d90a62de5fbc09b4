"""The platform program, one concern a file, in the order data flows.

    settings      the loader: Pulumi configuration -> frozen, checked, plain values
    names         physical names, their limits, tags
    documents     IAM, SQS and KMS policy documents: plain values in, dict out
    existing_vpc  a VPC that is there: looked at, and left alone
    network       VPC, subnets, routes, endpoints, flow logs
    karpenter/    node_role - interruption - controller_role - controller - capacity
    cluster       EKS and who may join it; system_nodes and addons beside it
    argocd        the Argo CD release
    app_of_apps   AppProject and root Application

``__main__.py`` composes them. A component takes what it needs through a frozen args class, never another
component and never ``Settings``; every arrow of data is an arrow of creation, and reversed, of teardown.
"""
