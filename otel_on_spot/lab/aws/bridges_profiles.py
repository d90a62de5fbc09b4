"""Gap: moto's ListInstanceProfiles takes no notice of PathPrefix.

Karpenter deletes profiles under its own path that no node class uses; without this it deletes the program's too.
"""

from typing import Any


def install() -> None:
    """List the profiles under the path alone.

    Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListInstanceProfiles.html
    """
    from moto.core.responses import ActionResult
    from moto.iam.responses import IamResponse

    def list_instance_profiles(self: Any) -> Any:
        prefix = self._get_param("PathPrefix") or "/"
        found = [one for one in self.backend.get_instance_profiles() if one.path.startswith(prefix)]
        return ActionResult({"InstanceProfiles": found})

    IamResponse.list_instance_profiles = list_instance_profiles
