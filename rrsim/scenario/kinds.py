"""Who carries out which action of a scenario: representative, customer, network; everything else happens to the PC.
Pure."""

from __future__ import annotations

from typing import Final

from rrsim.scenario import actions

REP_ACTIONS: Final = (
    actions.RepTakes, actions.RepRestarts, actions.RepChats, actions.RepEnds, actions.RepTransfers,
    actions.RepStartsSharing, actions.RepStopsSharing, actions.RepConsoleLost, actions.RepConsoleReturns,
    actions.RepClicks, actions.RepTypesPassword,
)  # fmt: skip
CUSTOMER_ACTIONS: Final = (
    actions.CustomerStartsSupport, actions.CustomerChats, actions.CustomerClosesChat, actions.CustomerClicks,
    actions.CustomerAnswers, actions.CustomerRestartsFromStart, actions.CustomerShutsDown, actions.CustomerPowersOn,
    actions.CustomerLogsOn, actions.CustomerLogsOff, actions.CustomerUnlocks, actions.CustomerDials,
    actions.CustomerHangsUp, actions.CustomerCancelsReconnect, actions.CustomerAtBlockScreen,
    actions.CustomerTypesSecret, actions.CustomerLogsInToPortal, actions.CustomerStartsVpn,
    actions.CustomerQuitsAgent,
)  # fmt: skip
NET_ACTIONS: Final = (
    actions.CablePulled, actions.CablePlugged, actions.ConnectionDrops, actions.ConnectionStalls,
    actions.ConnectionHalfOpen, actions.ServerRefuses, actions.ServerAccepts, actions.DnsFails, actions.DnsWorks,
    actions.Impostor, actions.ImpostorGone, actions.LineBusy, actions.LineDead, actions.LineWorks,
    actions.CarrierLost,
)  # fmt: skip
