"""A graph in LangGraph, without a model: prints the results of its tools as one line of JSON."""

import asyncio
import json
import os

from langchain_core.messages import AIMessage
from langchain_mcp_adapters.client import MultiServerMCPClient
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

APPROVAL = {
    "action": {"name": "deploy", "args": {"version": "2.4.1"}},
    "reason": "The tests have passed.",
    "to": [os.environ["PERSON"]],
}


async def main():
    headers = {"Authorization": f"Bearer {os.environ['KEY']}"}
    url = os.environ["BASE_URL"] + "/mcp"
    client = MultiServerMCPClient({"answerback": {"transport": "streamable_http", "url": url, "headers": headers}})
    tools = await client.get_tools()
    graph = StateGraph(MessagesState).add_node("tools", ToolNode(tools)).add_edge(START, "tools").compile()
    # What a model would say.
    call = {"name": "request_approval", "args": APPROVAL, "id": "call-1", "type": "tool_call"}
    result = await graph.ainvoke({"messages": [AIMessage("", tool_calls=[call])]})
    message = result["messages"][-1]
    text = message.content if isinstance(message.content, str) else message.content[0]["text"]
    print(json.dumps({"tools": [it.name for it in tools], "result": json.loads(text)}))


asyncio.run(main())
