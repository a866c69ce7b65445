// A client in TypeScript: `node typescript.mjs VERSION`. Prints what it got as one line of JSON.
import { converse } from './script.mjs';

const [version] = process.argv.slice(2);
const { NAME, MCP_URL, AGENT_KEY, MCP_COMMAND } = process.env;
const info = { name: NAME, version: '1.0.0' };
const isModern = version === '2026-07-28';

const load = async (modern, legacy) => (isModern ? import(`@modelcontextprotocol/client${modern}`) : import(`@modelcontextprotocol/sdk/client${legacy}`));
const { Client } = await load('', '/index.js');

async function transport() {
  if (MCP_COMMAND) {
    const { StdioClientTransport } = await load('/stdio', '/stdio.js');
    const [command, ...args] = JSON.parse(MCP_COMMAND);
    return new StdioClientTransport({ command, args, env: process.env, stderr: 'inherit' });
  }
  const { StreamableHTTPClientTransport } = await load('', '/streamableHttp.js');
  return new StreamableHTTPClientTransport(new URL(MCP_URL), { requestInit: { headers: { Authorization: `Bearer ${AGENT_KEY}` } } });
}

const client = new Client(info, isModern ? { versionNegotiation: { mode: { pin: version } } } : {});
const wire = await transport();
let agreed = () => client.getNegotiatedProtocolVersion();
if (!isModern) {
  // This SDK always asks for its latest version.
  const send = wire.send.bind(wire);
  wire.send = (message, options) => {
    if (message.method === 'initialize') message.params.protocolVersion = version;
    return send(message, options);
  };
  const note = wire.setProtocolVersion?.bind(wire);
  let noted;
  wire.setProtocolVersion = (it) => { noted = it; note?.(it); };
  agreed = () => noted;
}
await client.connect(wire);
const { tools } = await client.listTools();
const results = await converse(NAME, (name, args) => client.callTool({ name, arguments: args }));
console.log(JSON.stringify({ version: agreed(), tools: tools.map((it) => it.name), ...results }));
await client.close();
