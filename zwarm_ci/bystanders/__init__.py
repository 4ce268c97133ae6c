"""What a session did outside of its worktree: looked at before its turn and compared after it.

Nobody is stopped here, and nothing of the user's is written; what was found goes to `loop`, which lets no such turn be judged.
"""

from zwarm_ci.bystanders.watch import Bystanders, Moment, Seen, Turn

__all__ = ["Bystanders", "Moment", "Seen", "Turn"]
