"""What stands between GitHub Actions and the command line: inputs, trust, tokens, outputs, summary. No engine of its own.

The workflow's step is our process. It looks at the event while it has the token; then it begins anew without any token, and only
then runs something of the repository.
"""
