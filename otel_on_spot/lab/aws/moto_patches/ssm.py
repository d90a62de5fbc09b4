"""Gap: moto's SSM has none of the public parameters of EKS, and PutParameter refuses to write them."""

from typing import Any

from otel_on_spot.lab.aws.images import PARAMETER, parameter_value


def install() -> None:
    """Answer GetParameter and GetParameters for EKS images from the images that EC2 knows."""
    from moto.ec2.models import ec2_backends
    from moto.ssm.models import Parameter, SimpleSystemManagerBackend

    inner = SimpleSystemManagerBackend.get_parameter

    def get_parameter(self: Any, name: str) -> Any:
        if not PARAMETER.fullmatch(name):
            return inner(self, name)
        known = ec2_backends[self.account_id][self.region_name].amis.values()
        value = parameter_value(name, known)
        if value is None:
            return None
        newest = next(image.creation_date for image in known if image.id == value)
        made: Any = Parameter
        return made(
            account_id=self.account_id,
            name=name,
            value=value,
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=newest,
            version=1,
            data_type="text",
        )

    SimpleSystemManagerBackend.get_parameter = get_parameter
