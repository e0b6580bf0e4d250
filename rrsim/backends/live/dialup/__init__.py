"""Dial-up for real: a modem on a virtual machine's serial port, the telephone line, and a provider that speaks PPP.

:mod:`.dialup` is what a machine's link uses, and says what every action of a scenario does. Pure parts: :mod:`.modem`
and :mod:`.commands` (AT), :mod:`.exchange` (the line), :mod:`.pace` (its speed), :mod:`.ppp` and :mod:`.gate` (what a
caller may reach), :mod:`.phonebook` (Windows). Shells: :mod:`.line` (serial port), :mod:`.provider` (slirp),
:mod:`.dialup`.
"""
