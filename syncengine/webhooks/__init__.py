"""What SmartSender tells by itself: a receiver for its webhooks, and the inbox in which a sync finds them.

    proxy (TLS) ─► receiver ─► intake (group commit) ─► inbox.sqlite ─► the next plan, or the run under way

The receiver is a process of its own. It writes the inbox and reads nothing else that matters; a sync reads the inbox
and never writes it. So neither can hold the other up.

Events are not signed: whoever knows the path can send them. Therefore they may take consent away and never give it.
"""
