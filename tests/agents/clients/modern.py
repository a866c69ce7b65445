"""A client in Python: `modern.py VERSION`. Prints what it got as one line of JSON."""

import asyncio
import json
import os
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from script import converse

SECONDS = 40


async def main():
    [version] = sys.argv[1:]
    name = os.environ["NAME"]
    if "MCP_COMMAND" in os.environ:
        program, *arguments = json.loads(os.environ["MCP_COMMAND"])
        server = StdioServerParameters(command=program, args=arguments, env=dict(os.environ))
    else:
        headers = {"Authorization": f"Bearer {os.environ['AGENT_KEY']}"}
        http = httpx2.AsyncClient(headers=headers, timeout=SECONDS)
        server = streamable_http_client(os.environ["MCP_URL"], http_client=http)
    mode = version if version == "2026-07-28" else "legacy"
    async with Client(server, mode=mode) as client:

        async def call(tool, arguments):
            result = await client.call_tool(tool, arguments)
            return result.model_dump(mode="json", by_alias=True, exclude_none=True)

        tools = [it.name for it in (await client.list_tools()).tools]
        results = await converse(name, call)
        print(json.dumps({"version": client.protocol_version, "tools": tools, **results}))


asyncio.run(main())
