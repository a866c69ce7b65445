"""The client of FastMCP: prints the result of a tool as one line of JSON."""

import asyncio
import json
import os

from fastmcp import Client

APPROVAL = {
    "action": {"name": "deploy", "args": {"version": "2.4.1"}},
    "reason": "The tests have passed.",
    "to": [os.environ["PERSON"]],
}


async def main():
    async with Client(os.environ["BASE_URL"] + "/mcp", auth=os.environ["KEY"], timeout=60) as client:
        tools = [it.name for it in await client.list_tools()]
        result = await client.call_tool("request_approval", APPROVAL)
    # `data` is the result as the tool's output schema describes it.
    seen = {**result.structured_content, "approved": result.data.approved}
    print(json.dumps({"tools": tools, "result": seen}))


asyncio.run(main())
