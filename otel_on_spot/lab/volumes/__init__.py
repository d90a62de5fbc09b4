"""What stands for the EBS CSI driver and for the snapshot controller, where their EKS add-ons are there.

Claims, volumes and snapshots are decided by the real scheduler, controller manager and Karpenter; the volumes are the
simulated EC2's.
"""
