"""The deterministic simulator: virtual time, a modelled PC, network and people, and the real cores."""
