"""What EKS takes as an add-on's configuration values: the add-on's JSON schema, as far as public sources show it.

Each add-on publishes a schema (``aws eks describe-addon-configuration``), and EKS refuses what does not conform to it.
Newer versions add keys: one that is missing here needs its source first. The words of a refusal are EKS's own.

Sources: https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeAddonConfiguration.html,
https://github.com/aws/containers-roadmap/issues/2216 (an unknown key), https://github.com/cookpad/terraform-aws-eks/pull/331
(a wrong type)
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_on_spot.simcloud.api_errors import INVALID, ApiError, refuse

Schema = Mapping[str, Any]
TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
WHOLE: Final[Schema] = {"type": "integer"}
OPEN: Final[Schema] = {"type": "object"}
TEXTS: Final[Schema] = {"type": "object", "values": TEXT}
OBJECTS: Final[Schema] = {"type": "array", "items": OPEN}
LIST: Final[Schema] = {"type": "array"}


def closed(*required: str, **keys: Schema) -> Schema:
    """An object with these keys and no other, of which some are required."""
    return {"type": "object", "keys": keys, "required": required}


def between(least: int, most: int) -> Schema:
    """A whole number in a range."""
    return {"type": "integer", "least": least, "most": most}


AMOUNTS: Final = closed(cpu=TEXT, memory=TEXT)
RESOURCES: Final = closed(limits=AMOUNTS, requests=AMOUNTS)
PLACEMENT: Final[Mapping[str, Schema]] = {"affinity": OPEN, "nodeSelector": OPEN, "tolerations": OBJECTS}
CNI_VARIABLES: Final = (
    *("ADDITIONAL_ENI_TAGS", "ANNOTATE_POD_IP", "AWS_EC2_ENDPOINT", "AWS_EXTERNAL_SERVICE_CIDRS"),
    *("AWS_MANAGE_ENIS_NON_SCHEDULABLE", "AWS_VPC_CNI_NODE_PORT_SUPPORT", "AWS_VPC_ENI_MTU"),
    *("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "AWS_VPC_K8S_CNI_EXTERNALSNAT"),
    *("AWS_VPC_K8S_CNI_LOGLEVEL", "AWS_VPC_K8S_CNI_LOG_FILE", "AWS_VPC_K8S_CNI_RANDOMIZESNAT"),
    *("AWS_VPC_K8S_CNI_VETHPREFIX", "AWS_VPC_K8S_PLUGIN_LOG_FILE", "AWS_VPC_K8S_PLUGIN_LOG_LEVEL"),
    *("CLUSTER_ENDPOINT", "DISABLE_INTROSPECTION", "DISABLE_LEAKED_ENI_CLEANUP", "DISABLE_METRICS"),
    *("DISABLE_NETWORK_RESOURCE_PROVISIONING", "DISABLE_POD_V6", "ENABLE_BANDWIDTH_PLUGIN", "ENABLE_POD_ENI"),
    *("ENABLE_PREFIX_DELEGATION", "ENABLE_V6_EGRESS", "ENI_CONFIG_ANNOTATION_DEF", "ENI_CONFIG_LABEL_DEF"),
    *("INTROSPECTION_BIND_ADDRESS", "IP_COOLDOWN_PERIOD", "MAX_ENI", "MINIMUM_IP_TARGET"),
    *("POD_SECURITY_GROUP_ENFORCING_MODE", "WARM_ENI_TARGET", "WARM_IP_TARGET", "WARM_PREFIX_TARGET"),
)
SCHEMAS: Final[Mapping[str, Schema]] = {
    # Source: the schema of v1.15.1-eksbuild.1, an example of
    # https://docs.aws.amazon.com/cli/latest/reference/eks/describe-addon-configuration.html
    "vpc-cni": closed(
        affinity=OPEN,
        enableNetworkPolicy=TEXT,
        enableWindowsIpam=TEXT,
        eniConfig=closed("create", "region", "subnets", create=FLAG, region=TEXT, subnets=OPEN),
        env=closed(**dict.fromkeys(CNI_VARIABLES, TEXT)),
        init=closed(env=closed(DISABLE_TCP_EARLY_DEMUX=TEXT, ENABLE_V6_EGRESS=TEXT)),
        livenessProbeTimeoutSeconds=WHOLE,
        nodeAgent=OPEN,
        readinessProbeTimeoutSeconds=WHOLE,
        resources=RESOURCES,
        tolerations=OBJECTS,
    ),
    # Source: the schema of v1.10.1-eksbuild.11, in
    # https://github.com/cloudbees/terraform-aws-cloudbees-ci-eks-addon; autoScaling also:
    # https://docs.aws.amazon.com/eks/latest/userguide/coredns-autoscaling.html
    "coredns": closed(
        affinity=OPEN,
        autoScaling=closed("enabled", enabled=FLAG, minReplicas=between(2, 1000), maxReplicas=between(2, 1000)),
        computeType=TEXT,
        corefile=TEXT,
        nodeSelector=TEXTS,
        podAnnotations=OPEN,
        podDisruptionBudget=OPEN,
        podLabels=OPEN,
        replicaCount=WHOLE,
        resources=RESOURCES,
        tolerations=OBJECTS,
        topologySpreadConstraints=LIST,
    ),
    # Source: the chart's schema, which the add-on's mirrors; of its keys those of where and how the pods run.
    # https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/charts/aws-ebs-csi-driver/values.schema.json
    "aws-ebs-csi-driver": closed(
        controller=closed(
            **PLACEMENT,
            additionalArgs=LIST,
            batching=FLAG,
            enableMetrics=FLAG,
            extraVolumeTags=TEXTS,
            loggingFormat=TEXT,
            logLevel=WHOLE,
            podAnnotations=OPEN,
            podDisruptionBudget=closed(enabled=FLAG, unhealthyPodEvictionPolicy=TEXT),
            podLabels=OPEN,
            priorityClassName=TEXT,
            replicaCount={"type": "integer", "least": 1},
            resources=OPEN,
            sdkDebugLog=FLAG,
            topologySpreadConstraints=OBJECTS,
            updateStrategy=OPEN,
        ),
        defaultStorageClass=closed(enabled=FLAG),
        node=OPEN,
        sidecars=OPEN,
    ),
    # Source: https://github.com/jupyter-infra/jupyter-k8s/pull/289
    "metrics-server": closed(
        **PLACEMENT,
        podAnnotations=OPEN,
        podDisruptionBudget=OPEN,
        podLabels=OPEN,
        replicas=WHOLE,
        resources=OPEN,
        topologySpreadConstraints=OBJECTS,
    ),
    # Source: https://github.com/aws/containers-roadmap/issues/2311; no podLabels (#2640), no priorityClassName (#2678)
    "snapshot-controller": closed(**PLACEMENT, resources=OPEN),
}
"""Add-on -> what its configuration values may be."""
NAMES: Final = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
"""Python's type of a value -> JSON's name of it."""


def check(addon: str, configuration: str | None) -> None:
    """Take configuration values as EKS does; none, or an empty text, are nothing to look at.

    Raises:
        ApiError: they are no JSON, or the add-on's schema refuses them; or no public source shows its schema.
    """
    if not configuration:
        return
    try:
        values = json.loads(configuration)
    except json.JSONDecodeError:
        raise ApiError(INVALID, "ConfigurationValue is not in valid JSON format") from None
    if addon not in SCHEMAS:
        raise ApiError(
            "NotSimulated",
            f"the simulated cloud knows no schema of the configuration values of add-on {addon}: leave them out, or "
            "add what `aws eks describe-addon-configuration` tells to simcloud/aws/addon_configuration.py",
        )
    problems = list(_problems("$", values, SCHEMAS[addon]))
    opening = "ConfigurationValue provided in request is not supported: Json schema validation failed with error: "
    refuse((problems, f"{opening}[{', '.join(problems)}]"))


def _problems(path: str, value: Any, schema: Schema) -> Iterator[str]:
    """What the schema refuses of a value, in the words of the validator that EKS's messages are of.

    Source: https://github.com/networknt/json-schema-validator
    """
    found, wanted = NAMES.get(type(value), "null"), schema["type"]
    if found != wanted:
        yield f"{path}: {found} found, {wanted} expected"
    elif isinstance(value, dict):
        keys = schema.get("keys")
        for key in schema.get("required", ()):
            if key not in value:
                yield f"{path}.{key}: is missing but it is required"
        for key, inner in value.items():
            if keys is not None and key not in keys:
                rule = "is not defined in the schema and the schema does not allow additional properties"
                yield f"{path}.{key}: {rule}"
            elif expected := keys[key] if keys is not None else schema.get("values"):
                yield from _problems(f"{path}.{key}", inner, expected)
    elif isinstance(value, list) and "items" in schema:
        for number, inner in enumerate(value):
            yield from _problems(f"{path}[{number}]", inner, schema["items"])
    elif value < schema.get("least", value):
        yield f"{path}: must have a minimum value of {schema['least']}"
    elif value > schema.get("most", value):
        yield f"{path}: must have a maximum value of {schema['most']}"
