"""How the frozen Windows agent is made on Linux: a CPython for Windows from pinned wheels, and PyInstaller under Wine.

The rest of rrsim uses :mod:`rrsim.agent.build`. Here:

* :mod:`rrsim.agent.freezing.pins` -- the lock file ``windows.lock``;
* :mod:`rrsim.agent.freezing.wheels` -- fetching pinned wheels and unpacking what is needed of them;
* :mod:`rrsim.agent.freezing.places` -- the cache, what is put there at once or not at all, and one builder at a time;
* :mod:`rrsim.agent.freezing.steps` -- running a tool with a deadline and a log;
* :mod:`rrsim.agent.freezing.prefix` -- the Wine prefix that PyInstaller runs in;
* :mod:`rrsim.agent.freezing.runtime` -- CPython for Windows;
* :mod:`rrsim.agent.freezing.sources` -- which modules of rrsim the agent consists of;
* :mod:`rrsim.agent.freezing.freeze` -- the agent itself.

None of this is part of the frozen program.
"""
