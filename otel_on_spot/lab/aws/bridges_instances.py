"""Gap: an instance that ends leaves its primary network interface and its address behind; AWS removes both.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html
"""

from contextlib import suppress
from typing import Any


def install() -> None:
    """Take the interfaces that were made with an instance away with it, and give their addresses back."""
    from moto.ec2.models.instances import Instance

    inner = Instance.terminate

    def terminate(self: Any) -> Any:
        previous = inner(self)
        for interface in list(self.nics.values()):
            if interface.description != "Primary network interface":
                continue
            interface.stop()
            self.ec2_backend.enis.pop(interface.id, None)
        for address in list(self._private_ips):
            with suppress(Exception):  # the subnet may be gone before its instances are forgotten
                self.ec2_backend.get_subnet(self.subnet_id).del_subnet_ip(address)
        self._private_ips.clear()
        return previous

    Instance.terminate = terminate
