"""Swarm: random scenarios from a seed, over the whole simulated world.

From a seed come first the swarm's *configuration* (which kinds of misfortune there are at all, and how often), then the
world (account, PC, network, people), then a :class:`~rrsim.explore.swarm.plan.Plan`: the explicit list of what is done
and when. A plan *is* a scenario, so the ordinary simulator runs it and the ordinary checks judge it.
"""
