"""A run as an OpenTelemetry trace, sent at its end where a person's environment says so; nothing of it is loaded before.

Ids, states and figures leave, never titles, reasons or messages. A trace that cannot be sent is a note, and changes no run's end.
"""
