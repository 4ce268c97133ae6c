"""Executors: who does the work of a session. They never see verification; `loop.attempt` brings the two together."""
