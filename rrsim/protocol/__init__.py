"""The words that agent, session server and representative console exchange, and how they travel.

This room imports nothing else of rrsim. It owns:

* :mod:`rrsim.protocol.messages` -- every message, as frozen tagged structs;
* :mod:`rrsim.protocol.records` -- what the session server writes down about a session;
* :mod:`rrsim.protocol.settings` -- account settings and named profiles (rule 10);
* :mod:`rrsim.protocol.codec` -- bytes to messages and back, with limits;
* :mod:`rrsim.protocol.version` -- version negotiation;
* :mod:`rrsim.protocol.ticket` -- the resume ticket (rule 5).
"""
