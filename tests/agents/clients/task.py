"""A client that takes tasks: `task.py ask` prints the task that it waits for, `task.py get ID` waits for the result of one."""

import asyncio
import json
import os
import sys
from typing import Literal

import httpx2
from mcp import Client
from mcp.client.extension import ClientExtension, ResultClaim
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Request, RequestParams, Result

POLL_SECONDS = 0.5


class Task(Result):
    result_type: Literal["task"] = "task"
    task_id: str
    status: str


class Ask(RequestParams):
    task_id: str


class GetTask(Request[Ask, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: Ask
    name_param = "taskId"


class Look(Result):
    result_type: str
    status: str
    result: dict | None = None


async def wait(session, task_id):
    while True:
        look = await session.send_request(GetTask(params=Ask(task_id=task_id)), Look)
        if look.status != "working":
            return look
        await asyncio.sleep(POLL_SECONDS)


class Tasks(ClientExtension):
    identifier = "io.modelcontextprotocol/tasks"

    async def resolve(self, task, context):
        print(json.dumps(task.model_dump(mode="json", by_alias=True)), flush=True)
        return CallToolResult.model_validate((await wait(context.session, task.task_id)).result)

    def claims(self):
        return [ResultClaim(result_type="task", model=Task, resolve=self.resolve)]


async def main():
    headers = {"Authorization": f"Bearer {os.environ['AGENT_KEY']}"}
    server = streamable_http_client(os.environ["MCP_URL"], http_client=httpx2.AsyncClient(headers=headers))
    async with Client(server, extensions=[Tasks()]) as client:
        match sys.argv[1:]:
            case ["ask"]:
                question = {"question": "Go on?", "options": ["yes", "no"], "to": ["decides.tasks@example.com"]}
                await client.call_tool("ask_human", question)
                print("answered", flush=True)
            case ["get", task_id]:
                look = await wait(client.session, task_id)
                print(json.dumps(look.model_dump(mode="json", by_alias=True)))


asyncio.run(main())
