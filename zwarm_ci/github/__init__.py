"""GitHub: events in, trust, logs of failing jobs, the forge's API, reviews out. Nothing here runs code of a repository."""
