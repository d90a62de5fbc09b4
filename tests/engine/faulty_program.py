"""Run before a copy of the program: puts every fault of ``faults`` into the resources that are registered."""

import json
from pathlib import Path

import pulumi
from faults import AT_ONCE, put_in  # ty: ignore[import-not-found] (lies beside it in the copy)

left_out = json.loads(Path("left-out.json").read_text())


def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
    """The resource with the faults that are for it, whether the program or a remote component registers it."""
    faults = [
        fault
        for rule, fault in AT_ONCE.items()
        if rule not in left_out and args.type_ == fault.type and fault.name in args.name
    ]
    properties = dict(args.props)
    for fault in faults:
        properties = put_in(fault, properties)
    return pulumi.ResourceTransformResult(props=properties, opts=args.opts) if faults else None


pulumi.runtime.register_resource_transform(transform)
