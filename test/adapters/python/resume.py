"""Another process: goes on with a run that a first one left, and prints what its tools gave."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from conftest import User
from frameworks import harness_of
from harness import Spec

from nexusd import AsyncNexus


async def main(framework: str, folder: str) -> None:
    async with AsyncNexus() as nexus:
        spec = Spec.from_json(nexus, Path(folder, "spec").read_text())
        harness = harness_of(framework, spec, folder)
        results = await harness.resume(Path(folder, "saved").read_text(), "ada", User())
    print(json.dumps(results))  # noqa: T201


asyncio.run(main(*sys.argv[1:]))
