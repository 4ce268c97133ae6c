"""What happens at a commit, a push, a message and a merge. The user's index, working tree, stash, refs and settings stay as they are.

`quick` leaves before anything is imported; the other modules are each a stage. What a hook looks at is what is staged or pushed,
in worktrees of a private repository.
"""
