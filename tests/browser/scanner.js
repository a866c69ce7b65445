// Programs that open links, as those of mail gateways and chats do. SECURITY.md says what each assurance
// holds against.
//
// - The first scanner opens a link, waits, and presses each button and submits each form of that page
//   once. What a press leads to, it only looks at. Nothing is decided under `confirm` and `code`, and
//   under `link` nothing within 2 s.
// - The second scanner also presses the button of the page that follows. `confirm` does not hold against
//   it, if it waits between. `code` does.
// - Others open links without a window: HEAD, prefetch, previews.
//
// Every button and form has its link, so that no press hides another. A press that came too late to mean
// anything, because this machine was busy, is repeated when it is no longer.

import { open } from "./browser.js";
import { pool, sleep } from "./checks.js";
import { BARE } from "./questions.js";
import { ask } from "./stack.js";

const ASSURANCES = ["link", "confirm", "code"];
// Waits between opening and pressing, with the number of windows that wait at the same time.
const WAITS = [
  { seconds: 0, windows: 2 },
  { seconds: 1, windows: 3 },
  { seconds: 3, windows: 6 },
  { seconds: 10, windows: 16 },
];
// Ages from which the form of a page decides, and that of the second step.
const DECIDING_MS = [2_000, 1_000];
const TRIES_MAX = 8;
const PREVIEWS = [
  "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
  "WhatsApp/2.23.20.0",
  "TelegramBot (like TwitterBot)",
  "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
  "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
];

export async function scanner(checks, browser) {
  const context = await open(browser);
  const presses = await everyPress(checks, context);
  const once = ASSURANCES.flatMap((assurance) =>
    presses.flatMap((press) => guesses(assurance).map((guess) => ({ assurance, press, guess, then: null }))),
  );
  const late = [];
  const scanOnce = async (it) => {
    if (!(await scan(checks, context, it, 1))) late.push(it);
  };
  const groups = WAITS.map(({ seconds, windows }) =>
    pool(windows, once, (it) => scanOnce({ ...it, wait: seconds })),
  );
  await Promise.all([
    ...groups,
    pool(2, twice(presses), scanOnce),
    ...ASSURANCES.map((it) => openWithoutWindow(checks, it)),
  ]);
  if (late.length > 0) console.log(`  ${late.length} presses came too late, and are repeated one at a time`);
  for (const it of late) await scan(checks, context, it, TRIES_MAX);
  await context.close();
}

// All that a scanner can press: the buttons of the page, its forms, and the button of a link with an option.
async function everyPress(checks, context) {
  const { links } = await ask(1, BARE);
  const page = await context.newPage();
  await page.goto(links[0].url);
  const values = await page.locator("form button").evaluateAll((all) => all.map((it) => it.value));
  await page.close();
  checks.equal("buttons of a page", values, ["", ...BARE.options.map((it) => it.value)]);
  return [
    ...values.map((value, i) => ({ name: `button ${i} (${value || "none"})`, i, value })),
    { name: "the form", isForm: true, value: "" },
    { name: "the form as if no script listened", isForm: true, isSilent: true, value: "" },
    { name: "the button of a link with an option", query: "?option=approve", isLast: true, value: "approve" },
  ];
}

const guesses = (assurance) => (assurance === "code" ? [null, "314159"] : [null]);

function twice(presses) {
  const press = presses.find((it) => it.value === "approve");
  const cases = [
    ["link", 0, 0],
    ["confirm", 0, 0],
    ["confirm", 3, 0],
    ["confirm", 0, 3],
    ["code", 0, 0],
    ["code", 3, 3],
  ];
  return cases.flatMap(([assurance, wait, then]) =>
    guesses(assurance).map((guess) => ({ assurance, wait, then, press, guess })),
  );
}

// What SECURITY.md says.
function decides({ assurance, press, wait, then }) {
  const [isRead, isConfirmed] = [wait, then ?? 0].map((it, i) => it * 1000 >= DECIDING_MS[i]);
  if (!press.value || assurance === "code") return false;
  return isConfirmed || (assurance === "link" && isRead);
}

// Scans until a press is in time, and checks what it decided. False if the only try was late.
async function scan(checks, context, scan, tries_max) {
  const { assurance, press, wait, then, guess } = scan;
  const seconds = then === null ? `${wait} s` : `${wait} s, then the next button after ${then} s`;
  const what = `${assurance}: ${press.name} after ${seconds}${guess ? " with a guessed code" : ""}`;
  let isDone = false;
  await checks.scene(what, async () => {
    for (let tries = 0; !isDone && tries < tries_max; tries += 1) {
      const { links } = await ask(1, { ...BARE, assurance });
      const isInTime = await visit(context, links[0], scan);
      const option = (await links[0].recorded())?.option ?? null;
      const expected = decides(scan) ? press.value : null;
      if (isInTime) checks.equal(what, option, expected);
      isDone = isInTime;
    }
    if (!isDone && tries_max > 1) throw new Error("this machine is too busy: every press came too late");
  });
  return isDone || tries_max > 1;
}

// Opens the link and presses. True if no press came so late that it may decide.
async function visit(context, link, { assurance, press, wait, then, guess }) {
  const page = await context.newPage();
  try {
    const code = link.code === guess ? "271828" : guess;
    const first = await page.goto(link.url + (press.query ?? ""));
    let began = first.request().timing().startTime;
    const waits = then === null ? [wait] : [wait, then];
    for (const [i, seconds] of waits.entries()) {
      await sleep(seconds * 1000);
      const { sent, answered } = await pressAsProgram(page, press, code);
      // By one clock: from before the page was made to after its form was judged.
      const age = answered - began;
      const decidesLater = assurance === "link" || (assurance === "confirm" && i === 1);
      if (decidesLater && seconds * 1000 < DECIDING_MS[i] && age >= DECIDING_MS[i]) return false;
      began = sent;
    }
    return true;
  } finally {
    await page.close();
  }
}

// Returns the times at which the form was sent, and answered.
async function pressAsProgram(page, press, code) {
  const answer = page.waitForResponse((it) => it.request().method() === "POST");
  const answered = answer.then((it) => ({ sent: it.request().timing().startTime, answered: Date.now() }));
  // A page that is closed before it is there may take the browser with it.
  const [times] = await Promise.all([
    answered,
    page.waitForEvent("load"),
    page.evaluate(pressInPage, { press, code }),
  ]);
  return times;
}

function pressInPage({ press, code }) {
  const form = document.querySelector("form");
  const buttons = [...form.querySelectorAll("button")];
  // A program that sends forms does not check them first.
  form.noValidate = true;
  const input = form.querySelector("input[name=code]:not([type=hidden])");
  if (input && code) input.value = code;
  // After this function has returned, because the page goes away.
  setTimeout(() => {
    // The second step has one button.
    if (buttons.length === 1) buttons[0].click();
    else if (press.isSilent) HTMLFormElement.prototype.submit.call(form);
    else if (press.isForm) form.requestSubmit();
    else (press.isLast ? buttons.at(-1) : buttons[press.i]).click();
  });
}

async function openWithoutWindow(checks, assurance) {
  await checks.scene(`${assurance}: without a window`, async () => {
    const { links } = await ask(1, { ...BARE, assurance });
    const [link] = links;
    const before = await link.asked.read();
    const call = async (what, options, query = "", status = 200) => {
      const response = await fetch(link.url + query, { redirect: "manual", ...options });
      const text = await response.text();
      checks.equal(`${assurance}: ${what}: status`, response.status, status);
      checks.equal(`${assurance}: ${what}: has a body`, text !== "", options.method !== "HEAD");
      checks.equal(`${assurance}: ${what}: request`, await link.asked.read(), before);
    };
    await call("HEAD", { method: "HEAD" });
    await call("HEAD of an option", { method: "HEAD" }, "?option=approve");
    for (const purpose of ["prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"]) {
      await call(purpose, { headers: { "sec-purpose": purpose } });
      await call(`${purpose} of an option`, { headers: { "sec-purpose": purpose } }, "?option=approve");
    }
    for (const agent of PREVIEWS) await call(agent, { headers: { "user-agent": agent } }, "?option=approve");
    const form = (fields) => ({ method: "POST", body: new URLSearchParams(fields) });
    const isCode = assurance === "code";
    // Without a page, a form has no nonce, and leads to the second step or asks for the code.
    await call("POST without a page", form({ option: "approve" }), "", isCode ? 422 : 200);
    await call("POST with a wrong nonce", form({ option: "approve", nonce: "0" }), "", isCode ? 422 : 200);
  });
}
