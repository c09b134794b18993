"""The client for programs of asyncio."""
