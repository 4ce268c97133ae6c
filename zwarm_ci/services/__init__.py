"""What checks need running beside them: ports and names of their own for each worktree, and who may not run beside another."""

from zwarm_ci.services.compose import compose_files, read_compose, workflow_files, workflow_services
from zwarm_ci.services.exclusive import why_exclusive
from zwarm_ci.services.lifecycle import Services
from zwarm_ci.services.ports import KNOWN, WELL_KNOWN, Known, engine_runs, listening
from zwarm_ci.services.slots import PORTS, Slot, Slots, fill

__all__ = [
    "KNOWN",
    "PORTS",
    "WELL_KNOWN",
    "Known",
    "Services",
    "Slot",
    "Slots",
    "compose_files",
    "engine_runs",
    "fill",
    "listening",
    "read_compose",
    "why_exclusive",
    "workflow_files",
    "workflow_services",
]
