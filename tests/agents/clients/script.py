"""What an agent does, with a function that calls a tool. `clients/script.mjs` is the same."""

import asyncio


async def converse(name, call):
    def to(person):
        return [f"{person}.{name}@example.com"]

    def approval(person):
        action = {"name": "deploy", "args": {"client": name}}
        return {"action": action, "reason": "The tests have passed.", "to": to(person)}

    def start(tool, arguments):
        return asyncio.create_task(call(tool, arguments))

    late = start("ask_human", {"question": f"Late, {name}?", "options": ["yes", "no"], "to": to("late")})
    written = start("ask_human", {"question": f"Which color, {name}?", "to": to("writes")})
    rejected = start("request_approval", approval("rejects"))
    approved = start("request_approval", approval("approves"))
    dropped = start("ask_human", {"question": f"Still needed, {name}?", "reference": name, "to": to("silent")})
    while True:
        await asyncio.sleep(0.3)
        listed = await call("list_requests", {"status": "pending", "reference": name})
        if listed["structuredContent"]["requests"]:
            break
    [entry] = listed["structuredContent"]["requests"]
    cancelled = await call("cancel_request", {"request_id": entry["request_id"]})
    asked = checked = await late
    while checked["structuredContent"]["status"] == "pending":
        arguments = {"request_id": asked["structuredContent"]["request_id"], "wait_seconds": 20}
        checked = await call("check_request", arguments)
    return {
        "asked": asked, "checked": checked, "listed": listed, "cancelled": cancelled,
        "written": await written, "rejected": await rejected, "approved": await approved, "dropped": await dropped,
        "wrong": await call("check_request", {"request_id": "req_x"}),
    }  # fmt: skip
