"""Many calculations, each of which ends in a file: where they run, and what becomes of them."""

from nnpmm.campaigns.clusters import ClusterSettings, create_cluster, read_cluster

__all__ = ["ClusterSettings", "create_cluster", "read_cluster"]
