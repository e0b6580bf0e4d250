"""The session server on the network: what drives the pure cores of :mod:`rrsim.server` with real sockets and clocks.

* :mod:`rrsim.server.live.main` -- one process: agents' port, control API, state on disk;
* :mod:`rrsim.server.live.agents`, ``door``, ``limits`` -- the port for agents: TLS, WebSocket, and every limit;
* :mod:`rrsim.server.live.registry`, ``ends``, ``timers`` -- one core per session, its connections, its deadlines;
* :mod:`rrsim.server.live.journal` -- the records on disk, from which a killed server comes back;
* :mod:`rrsim.server.live.history` -- everything that happened, in order, for whoever watches;
* :mod:`rrsim.server.live.faults` -- what a test may do to messages on their way;
* :mod:`rrsim.server.live.api`, ``wishes`` -- the control API and the representatives' consoles;
* :mod:`rrsim.server.live.tls` -- certificates made for a run;
* :mod:`rrsim.server.live.load` -- many agents at once, all restarted, all back: the figures and who was lost.

Decisions are taken by the cores alone; nothing here knows a rule of the feature.
"""
