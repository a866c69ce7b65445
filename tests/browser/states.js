// The states of pages. Each state has:
//
// - a name, the status of its page, and `shows`: a selector of something that only such a page has
// - `links`, which are made for it, one for each window
// - `open`: the way to it, which returns the response of its page

import { ask, HOME_URL, INBOX_URL, ORIGIN, OUTBOX_URL, testKey } from "./stack.js";
import { CONFIRMATION, fill, press, skipValidation } from "./browser.js";
import { BARE, FIELDS, LOCALES, OPTIONS, QUESTION, VALUES } from "./questions.js";
import { sleep } from "./checks.js";

const CODES_WRONG_MAX = 5;
const CODES_ISSUED_MAX = 10;
const TIMEOUT_SECONDS = 5;
const EARLIER = { option: "later", fields: VALUES };

const visit = (page, { url }) => page.goto(url);
const shared = (link, n) => Array(n).fill(link);
const option = OPTIONS[0].value;

// A state with one link for all windows.
function one(name, status, shows, make) {
  return { name, status, shows, links: async (n) => shared(await make(), n), open: visit };
}

// A state with a link for each window, which `prepare` changes before it is opened.
function each(name, status, shows, question, open, prepare = async () => {}) {
  const links = async (n) => {
    const { links } = await ask(n, question);
    for (const link of links) await prepare(link);
    return links;
  };
  return { name, status, shows, links, open };
}

const first = async (question, key) => (await ask(1, question, key)).links[0];

async function wrongCodes(link, n) {
  const token = link.url.split("/").pop();
  const wrong = link.code === "000000" ? "000001" : "000000";
  for (let i = 0; i < n; i += 1) {
    await fetch(`${ORIGIN}/v1/answers/${token}`, {
      method: "POST",
      body: JSON.stringify({ ...EARLIER, code: wrong }),
    });
  }
  return wrong;
}

// Locks a link `n` times, and gets a new code each time but the last.
async function lock(link, n) {
  for (let i = 1; i <= n; i += 1) {
    await wrongCodes(link, CODES_WRONG_MAX);
    const form = new URLSearchParams({ new_code: "1" });
    if (i < n) await fetch(link.url, { method: "POST", body: form, redirect: "manual" });
    const { recipients } = await link.asked.read();
    link.code = recipients[link.row].code;
  }
  return link;
}

async function submitFaulty(page, link) {
  await page.goto(link.url);
  await skipValidation(page);
  for (const control of await page.locator("input[type=number]").all()) await control.fill("99");
  return press(page, option);
}

async function submit(page, link) {
  await page.goto(link.url);
  await fill(page, FIELDS);
  return press(page, option);
}

async function submitWrongCode(page, link) {
  await page.goto(link.url);
  await page.locator("input[name=code]").fill(link.code === "000000" ? "000001" : "000000");
  return press(page, option);
}

// The page is opened, then `change` happens, then the form is sent.
const overtaken = (change) => async (page, link) => {
  await page.goto(link.url);
  await fill(page, FIELDS);
  await change(link);
  return press(page, option);
};

async function pressEnter(page, link) {
  await page.goto(link.url);
  await fill(page, FIELDS);
  const response = page.waitForResponse((it) => it.request().method() === "POST");
  await page.locator("input[type=text]").first().press("Enter");
  await response;
  await page.waitForLoadState("load");
  return response;
}

async function decided() {
  const { links } = await ask(2, { ...QUESTION, quorum: "any" });
  await links[0].answer(EARLIER);
  return links[1];
}

async function cancelled() {
  const link = await first(QUESTION);
  await link.asked.cancel();
  return link;
}

async function timedOut(policy) {
  const link = await first({ ...QUESTION, ...policy, timeout_seconds: TIMEOUT_SECONDS });
  await sleep(TIMEOUT_SECONDS * 1000 + 500);
  return link;
}

// The inbox of the local stack, with at least one callback.
async function inbox() {
  const callback = { events: ["request.created", "request.answered", "request.finished"] };
  const link = await first({ ...QUESTION, callback_url: INBOX_URL, callback });
  await link.answer(EARLIER);
  for (let i = 0; i < 100; i += 1) {
    const page = await fetch(INBOX_URL, { headers: { accept: "application/json" } });
    if ((await page.text()).includes("request.finished")) return { url: INBOX_URL };
    await sleep(100);
  }
  throw new Error("the inbox received no callback within 10 s");
}

// A form for each window, each of a request that is cancelled while it is open.
async function oneRequestEach(n) {
  const all = await Promise.all(Array.from({ length: n }, () => ask(1, QUESTION)));
  return all.map((it) => it.links[0]);
}

const NO_FORM = "body:not(:has(form)):has(h1)";
const CHOICES = "form:has(button[name=option][value=approve]):has(button[name=option][value=reject])";
const CURRENT = "section.answer dl";

export const STATES = [
  one("open", 200, CHOICES, () => first(QUESTION)),
  one("open-test", 200, `body:has(header.banner) ${CHOICES}`, async () => first(QUESTION, await testKey())),
  ...LOCALES.map((locale) =>
    one(`open-${locale}`, 200, `html[lang=${locale}] ${CHOICES}`, () => first({ ...QUESTION, locale })),
  ),
  one("open-fields-only", 200, "form button[name=option][value=submit]", () =>
    first({ ...QUESTION, options: [] }),
  ),
  one("open-chosen", 200, "form:not(:has(button[value=approve])) button[value=reject]", async () => ({
    url: `${(await first(QUESTION)).url}?option=reject`,
  })),
  each("faulty", 422, `body:has([role=alert] a[href="#field-0"]) [aria-invalid]`, QUESTION, submitFaulty),
  each("no-option", 422, `[role=alert] a[href="#options"]`, QUESTION, pressEnter),
  each("confirmation", 200, CONFIRMATION, { ...QUESTION, assurance: "confirm" }, submit),
  each(
    "outdated",
    200,
    `body:has(${CURRENT}) ${CONFIRMATION}`,
    { ...QUESTION, mode: "on_timeout" },
    overtaken((link) => link.answer(EARLIER)),
  ),
  one("code", 200, "form input[name=code]", () => first({ ...QUESTION, assurance: "code" })),
  each("code-wrong", 422, "form input[name=code][aria-invalid]", { ...BARE, assurance: "code" }, submitWrongCode),
  one("locked", 200, "form button[name=new_code]", async () =>
    lock(await first({ ...QUESTION, assurance: "code" }), 1),
  ),
  one("locked-for-good", 200, `${NO_FORM} [role=status].error`, async () =>
    lock(await first({ ...QUESTION, assurance: "code" }), CODES_ISSUED_MAX),
  ),
  each("recorded", 200, `${NO_FORM} ${CURRENT}`, QUESTION, visit, (link) => link.answer(EARLIER)),
  each(
    "already-answered",
    409,
    `${NO_FORM} section.answer + section.answer dl`,
    QUESTION,
    overtaken((link) => link.answer(EARLIER)),
  ),
  each(
    "changeable",
    200,
    `body:has(${CURRENT}) ${CHOICES}`,
    { ...QUESTION, mode: "on_timeout" },
    visit,
    (link) => link.answer(EARLIER),
  ),
  one("decided", 410, NO_FORM, decided),
  one("cancelled", 410, NO_FORM, cancelled),
  {
    name: "cancelled-while-typing",
    status: 410,
    shows: `${NO_FORM} section.answer dl`,
    links: oneRequestEach,
    open: overtaken((link) => link.asked.cancel()),
  },
  one("timed-out", 410, NO_FORM, () => timedOut({})),
  one("defaulted", 410, `${NO_FORM} [role=status] bdi`, () =>
    timedOut({ on_deadline: { kind: "default", option: "reject" } }),
  ),
  one("unknown-link", 404, NO_FORM, async () => ({ url: `${ORIGIN}/a/unknown` })),
  one("home", 200, NO_FORM, async () => ({ url: HOME_URL })),
  one("not-found", 404, NO_FORM, async () => ({ url: `${ORIGIN}/nothing/here` })),
  one("inbox", 200, "article pre", inbox),
  one("outbox", 200, "nav a[aria-current=page]", async () => ({ url: OUTBOX_URL })),
  one("outbox-no-mail", 404, "main h1", async () => ({ url: `${OUTBOX_URL}/unknown` })),
];
