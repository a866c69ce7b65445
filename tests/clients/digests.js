// Prints the SHA-256 of the canonical form of each JSON text, one per line.

import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import canonicalize from "canonicalize";

for await (const line of createInterface({ input: process.stdin })) {
  console.log(createHash("sha256").update(canonicalize(JSON.parse(line))).digest("hex"));
}
