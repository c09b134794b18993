import asyncio

from nexusd import AsyncNexus


async def main() -> None:
    async with AsyncNexus() as nexus:
        token = await nexus.acquire("github", user="ada", on_consent=print)
        print("revision", token.revision)


asyncio.run(main())
