// What an agent does, with a function that calls a tool. `clients/script.py` is the same.

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function converse(name, call) {
  const to = (person) => [`${person}.${name}@example.com`];
  const approval = (person) => ({ action: { name: 'deploy', args: { client: name } }, reason: 'The tests have passed.', to: to(person) });
  const late = call('ask_human', { question: `Late, ${name}?`, options: ['yes', 'no'], to: to('late') });
  const written = call('ask_human', { question: `Which color, ${name}?`, to: to('writes') });
  const rejected = call('request_approval', approval('rejects'));
  const approved = call('request_approval', approval('approves'));
  const dropped = call('ask_human', { question: `Still needed, ${name}?`, reference: name, to: to('silent') });
  let listed;
  do {
    await pause(300);
    listed = await call('list_requests', { status: 'pending', reference: name });
  } while (listed.structuredContent.requests.length === 0);
  const [{ request_id }] = listed.structuredContent.requests;
  const cancelled = await call('cancel_request', { request_id });
  const asked = await late;
  let checked = asked;
  while (checked.structuredContent.status === 'pending') {
    checked = await call('check_request', { request_id: asked.structuredContent.request_id, wait_seconds: 20 });
  }
  return {
    asked, checked, listed, cancelled,
    written: await written, rejected: await rejected, approved: await approved, dropped: await dropped,
    wrong: await call('check_request', { request_id: 'req_x' }),
  };
}
