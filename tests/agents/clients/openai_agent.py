"""An agent in the OpenAI Agents SDK, with a scripted model: prints the results of its tools as one line of JSON."""

import asyncio
import json
import os

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

APPROVAL = {
    "action": {"name": "deploy", "args": {"version": "2.4.1"}},
    "reason": "The tests have passed.",
    "to": [os.environ["PERSON"]],
}


class Scripted(Model):
    """Calls a tool, and repeats what it said."""

    tools = ()

    async def get_response(self, system_instructions, input, model_settings, tools, *_, **__):
        self.tools = [it.name for it in tools]
        last = input[-1] if isinstance(input, list) else {}
        if last.get("type") != "function_call_output":
            said = ResponseFunctionToolCall(
                type="function_call", call_id="1", name="request_approval", arguments=json.dumps(APPROVAL)
            )
        else:
            output = last["output"]
            text = output if isinstance(output, str) else output[0]["text"]
            part = ResponseOutputText(type="output_text", text=text, annotations=[])
            said = ResponseOutputMessage(
                id="1", type="message", role="assistant", status="completed", content=[part]
            )  # fmt: skip
        return ModelResponse(output=[said], usage=Usage(), response_id=None)

    def stream_response(self, *_, **__):
        raise NotImplementedError


async def main():
    # It would send traces to its vendor.
    set_tracing_disabled(True)
    params = {
        "url": os.environ["BASE_URL"] + "/mcp",
        "headers": {"Authorization": f"Bearer {os.environ['KEY']}"},
        "timeout": 60,
    }
    model = Scripted()
    async with MCPServerStreamableHttp(params=params, client_session_timeout_seconds=60) as answerback:
        agent = Agent(name="Deployer", instructions="Ask before you deploy.", mcp_servers=[answerback], model=model)
        result = await Runner.run(agent, "Deploy.")
    said = json.loads(result.final_output)
    # With one part, its text.
    print(json.dumps({"tools": model.tools, "result": json.loads(said["text"]) if "text" in said else said}))


asyncio.run(main())
