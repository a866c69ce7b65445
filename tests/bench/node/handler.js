// The baseline for cold starts: a Node.js function that reads an API key's item and writes one item, as `intake`
// does for a new request. It speaks Lambda's Runtime API itself, so that no other package is measured.

import { request } from "node:http";
import { createHash, randomUUID } from "node:crypto";
import { DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const TableName = process.env.TABLE_NAME;
const table = new DynamoDBClient({});

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const sent = request({ host, port, method, path: `/2018-06-01/runtime/invocation/${path}` }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(parts).toString() }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function handle(event) {
  const key = createHash("sha256").update(event.headers.authorization).digest("hex");
  const { title } = JSON.parse(event.body);
  await table.send(new GetItemCommand({ TableName, Key: { pk: { S: `key#${key}` }, sk: { S: "-" } } }));
  const id = randomUUID();
  await table.send(
    new PutItemCommand({
      TableName,
      Item: { pk: { S: id }, sk: { S: "-" }, title: { S: title } },
      ConditionExpression: "attribute_not_exists(pk)",
    }),
  );
  return { statusCode: 201, headers: { "content-type": "application/json" }, body: JSON.stringify({ id, title }) };
}

for (;;) {
  const next = await call("GET", "next");
  const answer = await handle(JSON.parse(next.body));
  await call("POST", `${next.headers["lambda-runtime-aws-request-id"]}/response`, JSON.stringify(answer));
}
