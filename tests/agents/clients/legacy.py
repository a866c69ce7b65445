"""A client in Python, with the SDK for versions with a handshake: `legacy.py VERSION`. Prints what it got as one line of JSON."""

import asyncio
import contextlib
import json
import os
import sys
from datetime import timedelta

from mcp import ClientSession, StdioServerParameters, stdio_client, types
from mcp.client.streamable_http import streamablehttp_client
from script import converse

SECONDS = timedelta(seconds=40)


@contextlib.asynccontextmanager
async def connect():
    if "MCP_COMMAND" in os.environ:
        program, *arguments = json.loads(os.environ["MCP_COMMAND"])
        async with stdio_client(StdioServerParameters(command=program, args=arguments, env=dict(os.environ))) as streams:
            yield streams
        return
    headers = {"Authorization": f"Bearer {os.environ['AGENT_KEY']}"}
    async with streamablehttp_client(os.environ["MCP_URL"], headers=headers, timeout=SECONDS) as (receive, send, _):
        yield receive, send


async def main():
    [version] = sys.argv[1:]
    # This SDK always asks for its latest version.
    types.LATEST_PROTOCOL_VERSION = version
    async with connect() as streams, ClientSession(*streams, read_timeout_seconds=SECONDS) as session:
        agreed = await session.initialize()

        async def call(tool, arguments):
            result = await session.call_tool(tool, arguments)
            return result.model_dump(mode="json", by_alias=True, exclude_none=True)

        tools = [it.name for it in (await session.list_tools()).tools]
        results = await converse(os.environ["NAME"], call)
        print(json.dumps({"version": agreed.protocolVersion, "tools": tools, **results}))


asyncio.run(main())
