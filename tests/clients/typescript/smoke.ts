// Calls a running stack with the types that openapi-typescript generates.
//
// BASE_URL, API_KEY and RECEIVER_URL are set by tests/clients/run.

import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Attempt = components["schemas"]["Attempt"];

const ATTEMPT_POLLS_MAX = 100;
const ATTEMPT_POLL_INTERVAL_MS = 100;

function environment(name: string): string {
  const value = process.env[name];
  assert(value, `${name} is not set`);
  return value;
}

const receiverUrl = environment("RECEIVER_URL");
const client = createClient<paths>({
  baseUrl: environment("BASE_URL"),
  headers: { authorization: `Bearer ${environment("API_KEY")}` },
});

async function checkErrors(): Promise<void> {
  const { error, response } = await client.POST("/v1/requests", {
    body: { title: "", timeout_seconds: 1 },
  });
  assert.equal(response.status, 422);
  assert(error);
  // `errors` is a member of every problem, and present on a validation problem.
  assert((error.errors ?? []).some((it) => it.pointer === "/title"));
  assert.equal(error.code, "invalid_request");
  if (error.code === "invalid_request") {
    const [first]: components["schemas"]["FieldError"][] = error.errors;
    assert(first?.detail);
  }

  const refused = await client.GET("/v1/requests", { headers: { authorization: "Bearer wrong" } });
  assert.equal(refused.error?.code, "unauthorized");
}

async function checkRequests(): Promise<void> {
  const created = await client.POST("/v1/requests", {
    params: { header: { "Idempotency-Key": randomUUID() } },
    body: {
      title: "Deploy v2.4.1?",
      recipients: ["ada@example.com"],
      options: [{ value: "approve", label: "Approve" }, { value: "reject", label: "Reject" }],
      quorum: "all",
      external_reference_id: "deploy-v2.4.1",
    },
  });
  assert(created.data, JSON.stringify(created.error));
  const { id } = created.data;

  const found = await client.GET("/v1/requests/{id}", { params: { path: { id } } });
  assert.equal(found.data?.status, "pending");
  const listed = await client.GET("/v1/requests", { params: { query: { status: "pending", limit: 100 } } });
  assert(listed.data?.data.some((it) => it.id === id));

  const token = created.data.recipients[0]?.answer_url?.split("/").pop();
  assert(token);
  const answered = await client.POST("/v1/answers/{token}", {
    params: { path: { token } },
    body: { option: "approve" },
  });
  assert.equal(answered.data?.response.option, "approve");

  const again = await client.POST("/v1/answers/{token}", {
    params: { path: { token } },
    body: { option: "reject" },
  });
  assert(again.error?.code === "already_answered");
  assert.equal(again.error.response?.option, "approve");

  const result = await client.GET("/v1/requests/{id}/result", { params: { path: { id } } });
  assert(result.data?.status === "submitted");
  assert.equal(result.data.result.decision, "approve");
  assert.equal(result.data.result.responses[0]?.recipient, "ada@example.com");
}

async function checkEvents(): Promise<void> {
  const posted = await client.POST("/v1/events", {
    body: { type: "job.completed", data: { executionId: "exec-42", status: "succeeded" } },
  });
  assert(posted.data, JSON.stringify(posted.error));
  const { id } = posted.data;
  const listed = await client.GET("/v1/events");
  assert(listed.data?.data.some((it) => it.id === id));
  const found = await client.GET("/v1/events/{id}", { params: { path: { id } } });
  assert.equal(found.data?.data["executionId"], "exec-42");
}

async function checkWebhooks(): Promise<void> {
  const id = `typescript-${randomUUID()}`;
  const created = await client.POST("/v1/webhooks", { body: { id, url: receiverUrl } });
  assert(created.data?.secret, JSON.stringify(created.error));
  const listed = await client.GET("/v1/webhooks");
  assert.equal(listed.data?.data.find((it) => it.id === id)?.url, receiverUrl);

  const triggered = await client.POST("/v1/webhooks/{id}/trigger", { params: { path: { id } }, body: {} });
  assert(triggered.data, JSON.stringify(triggered.error));
  const attempt = await firstAttempt(id);
  assert.equal(attempt.response?.status, 204);

  const ofDelivery = await client.GET("/v1/attempts", {
    params: { query: { delivery_id: triggered.data.id } },
  });
  assert.deepEqual(ofDelivery.data?.data.map((it) => it.id), [attempt.id]);
  const { response } = await client.DELETE("/v1/webhooks/{id}", { params: { path: { id } } });
  assert.equal(response.status, 204);
}

async function firstAttempt(id: string): Promise<Attempt> {
  for (let poll = 0; poll < ATTEMPT_POLLS_MAX; poll += 1) {
    const { data } = await client.GET("/v1/webhooks/{id}/attempts", { params: { path: { id } } });
    const attempt = data?.data[0];
    if (attempt) return attempt;
    await setTimeout(ATTEMPT_POLL_INTERVAL_MS);
  }
  throw new Error("no attempt was made");
}

await checkErrors();
await checkRequests();
await checkEvents();
await checkWebhooks();
console.log("The generated TypeScript types and the running stack agree.");
