// The API of the local stack, as a sender uses it.

import { strict as assert } from "node:assert";

const stack = JSON.parse(process.env.STACK);

export const ORIGIN = new URL(stack.base_url).origin;
export const HOME_URL = `${stack.base_url}/`;
export const INBOX_URL = stack.inbox_url;
export const OUTBOX_URL = stack.outbox_url;

async function call(method, path, body, key) {
  const response = await fetch(stack.base_url + path, {
    method,
    headers: { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) },
    body: body && JSON.stringify(body),
  });
  return { status: response.status, json: await response.json() };
}

async function must(status, ...args) {
  const response = await call(...args);
  assert.equal(response.status, status, `${args.slice(0, 2)}: ${JSON.stringify(response.json)}`);
  return response.json;
}

// A recipient's part of a request: a link, and the code that belongs to it.
class Link {
  constructor(asked, row, { answer_url, code }) {
    Object.assign(this, { asked, row, url: answer_url, code });
  }

  // Answers as a program does.
  async answer(answer, status = 200) {
    const token = new URL(this.url).pathname.split("/").pop();
    return must(status, "POST", `/v1/answers/${token}`, { ...(this.code && { code: this.code }), ...answer });
  }

  // The recorded answer, or null.
  async recorded() {
    const { responses } = await this.asked.read();
    const { option, fields, answered_at } = responses[this.row];
    return answered_at === null ? null : { option, fields };
  }
}

// A request.
class Asked {
  constructor(created, key) {
    this.id = created.id;
    this.key = key;
    this.links = created.recipients.map((it, row) => new Link(this, row, it));
  }

  async read() {
    return must(200, "GET", `/v1/requests/${this.id}`, undefined, this.key);
  }

  async cancel() {
    return must(200, "POST", `/v1/requests/${this.id}/cancel`, undefined, this.key);
  }
}

// Creates a request with `n` recipients, who get no messages: with them, `confirm` is the default.
export async function ask(n, question, key = stack.api_key) {
  const recipients = Array.from({ length: n }, (_, row) => ({
    email: `recipient.with.a.long.name.for.narrow.windows.${row}@example.com`,
  }));
  const request = { notify: "none", recipients, ...question };
  return new Asked(await must(201, "POST", "/v1/requests", request, key), key);
}

// A key for test requests.
export async function testKey() {
  const body = { livemode: false, scopes: ["requests:read", "requests:write"] };
  return (await must(201, "POST", "/v1/keys", body, stack.api_key)).key;
}

export async function openApi() {
  return must(200, "GET", "/openapi.json");
}
