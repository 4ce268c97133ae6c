"""The one process that holds provider keys: a loopback reverse proxy that meters, limits, records and replays model calls.

Nothing else of ours ever sees a key; a session gets a random token that opens this proxy alone. The run talks to it through
`client.Gateway`. It needs the extra `gateway` (aiohttp), which is loaded when it begins to serve.
"""
