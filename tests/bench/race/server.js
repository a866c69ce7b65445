// The baseline of tests/bench/race.py: BullMQ, undici and Redis do the same work as the local stack.
//
// Usage: node server.js REDIS_PORT
//
// POST /v1/events stores an event as a job of BullMQ, and responds with 202 once Redis has it. A worker signs the job
// as Standard Webhooks demands and posts it to the event"s `callback_url`. Its result, and the response"s status and
// duration, stay in Redis. Failures are retried eight times with growing delays. One process, because two cost more.

import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Queue, Worker } from "bullmq";
import { Agent, request } from "undici";

const CONCURRENCY = 50;
const connection = { host: "127.0.0.1", port: Number(process.argv[2]), maxRetriesPerRequest: null };
const options = { attempts: 9, backoff: { type: "exponential", delay: 5000 }, removeOnComplete: false };
const key = randomBytes(24);
const apiKey = randomUUID();
const dispatcher = new Agent({ connections: CONCURRENCY, headersTimeout: 15_000 });
const queue = new Queue("events", { connection });

async function accept(call, response) {
  if (call.headers.authorization !== `Bearer ${apiKey}`) return respond(response, 401, {});
  const chunks = [];
  for await (const chunk of call) chunks.push(chunk);
  const { type, data, callback_url: url } = JSON.parse(Buffer.concat(chunks));
  if (call.url !== "/v1/events" || typeof type !== "string" || !new URL(url).host) return respond(response, 422, {});
  const event = { id: randomUUID(), type, timestamp: new Date().toISOString(), data };
  await queue.add("event", { url, body: JSON.stringify(event) }, { ...options, jobId: event.id });
  respond(response, 202, event);
}

function respond(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

async function deliver({ id, data: { url, body } }) {
  const [seconds, start] = [Math.floor(Date.now() / 1000), performance.now()];
  const signature = createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64");
  const headers = { "content-type": "application/json", "webhook-id": id, "webhook-timestamp": String(seconds) };
  headers["webhook-signature"] = `v1,${signature}`;
  const response = await request(url, { method: "POST", headers, body, dispatcher });
  await response.body.dump();
  if (response.statusCode >= 300) throw new Error(`status ${response.statusCode}`);
  return { status: response.statusCode, milliseconds: performance.now() - start };
}

const worker = new Worker("events", deliver, { connection, concurrency: CONCURRENCY });
worker.on("error", (error) => console.error(error));
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
const server = createServer((call, response) => accept(call, response).catch(() => respond(response, 500, {})));
// Callers keep their connections between the two measurements.
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ base_url: `http://127.0.0.1:${server.address().port}`, api_key: apiKey }));
});
