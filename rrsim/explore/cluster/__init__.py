"""Many processes, many machines: three calls -- submit, gather, cancel -- and who answers them.

A task is the name of a function and bytes; its result is bytes. It is idempotent: a worker that dies in the middle of
one costs its time and nothing else, because somebody does it again.

* :mod:`rrsim.explore.cluster.here` -- this process, one task after the other;
* :mod:`rrsim.explore.cluster.pool` -- processes of this machine;
* :mod:`rrsim.explore.cluster.on_dask` -- machines, through a Dask scheduler (extra ``cluster``).
"""
