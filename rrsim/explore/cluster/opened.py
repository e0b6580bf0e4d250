"""Which cluster somebody gets for what they asked."""

from __future__ import annotations

import os

from rrsim.explore.cluster.here import Here
from rrsim.explore.cluster.pool import Pool
from rrsim.explore.cluster.seam import Cluster


def open_cluster(address: str = "", jobs: int = 0, tasks: int | None = None) -> Cluster:
    """Return workers.

    Args:
        address: ``tcp://HOST:PORT`` of a Dask scheduler; empty: this machine.
        jobs: processes of this machine; 0: one for each processor.
        tasks: how many tasks there will be, if that is known: more processes than tasks are of no use.

    Raises:
        ClusterError: the cluster at the address cannot be used.
    """
    if address:
        from rrsim.explore.cluster.on_dask import OnDask

        return OnDask(address)
    wanted = jobs or len(os.sched_getaffinity(0))
    if tasks is not None:
        wanted = min(wanted, tasks)
    return Pool(wanted) if wanted > 1 else Here()
