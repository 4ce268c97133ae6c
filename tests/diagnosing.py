"""Recorded failures, the trees round them, and what lacks in them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from tests.checks.running import plant
from zwarm_ci.diagnose import Here, Missing, explain
from zwarm_ci.task import Check, Failure, Place

DATA = Path(__file__).parent / "data" / "diagnose"
#: A tree in which everything that the recorded failures ask for is expected.
WANTED = {
    ".env.example": "DATABASE_URL=\nSHOP_TOKEN=\nSECRET_KEY=\nSTRIPE_KEY=\nAWS_ACCESS_KEY_ID=\n",
    "requirements.txt": "numpyx>=1\nstarlette\n",
    "README.md": "It needs ffmpegx.\n",
    "package.json": '{"name": "shop", "dependencies": {"left-pad-x": "1"}}',
    "src/settings.py": "import os\nurl = os.getenv('DATABASE_URL')\ntoken = os.getenv('SHOP_TOKEN')\n",
    "compose.yaml": "services:\n  db: {image: postgres}\n  web: {image: shop, ports: ['8000:80']}\n  grpc: {image: shop, ports: ['50051:50051']}\n",
}


def recorded(name: str, tree: Path) -> Failure:
    """A failure as a client and a runner gave it; the line that it points at is laid into `tree`."""
    head, _, detail = (DATA / f"{name}.txt").read_text(encoding="utf-8").partition("\n")
    said = json.loads(head)
    place = None
    if said["place"]:
        path, line = said["place"]
        place = Place(path, line)
        plant(tree, {path: "\n" * (line - 1) + said["source"] + "\n"})
    return Failure("tests", name, said["message"], detail, place, said["shape"], frames=(place,) if place else ())


def here(
    check: Check | None = None, *, listens: Collection[int] = (), ignored: Collection[str] = (), **more: object
) -> Here:
    world: dict[str, object] = {"environ": {"PATH": "/nowhere"}, "network": False, **more}
    check = check or Check("tests", "pytest", "pytest")
    return Here(check, listening=listens.__contains__, ignored=ignored.__contains__, **world)  # type: ignore[arg-type] # what a test gives


def lacks(name: str, tree: Path, files: Mapping[str, str], place: Here | None = None) -> Missing | None:
    tree.mkdir(parents=True, exist_ok=True)
    return explain([recorded(name, plant(tree, files))], tree, here=place or here()).get(name)
