// A person: opens the link, reads, fills in, presses. Under `link` and `code` that is one step, under
// `confirm` two. A reload afterwards sends nothing.

import { asksToConfirm, CONFIRMATION, fill, open, press, pressOnly, watch } from "./browser.js";
import { pool, sleep } from "./checks.js";
import { BARE, FIELDS, HAS_REQUIRED_FOR, QUESTION, VALUES } from "./questions.js";
import { ask } from "./stack.js";

// Longer than the 2 s and 1 s after which a form decides.
const READING_MS = 2_200;
const CONFIRMING_MS = 1_200;
const AT_ONCE = 6;

export async function person(checks, browser) {
  const scenes = [true, false].flatMap((script) => [
    ...["link", "confirm", "code"].map((assurance) => () => answers(checks, browser, script, assurance)),
    () => changes(checks, browser, script),
    () => correctsFaults(checks, browser, script),
    () => learnsOfAnotherAnswer(checks, browser, script),
    () => followsChosenLink(checks, browser, script),
    ...(HAS_REQUIRED_FOR ? [() => needsNoReason(checks, browser, script)] : []),
  ]);
  await pool(AT_ONCE, scenes, (scene) => scene());
}

async function scene(checks, browser, script, name, question, body) {
  const what = `${name}, ${script ? "script" : "no script"}`;
  await checks.scene(what, async () => {
    const { links } = await ask(1, question);
    const context = await open(browser, { script });
    const page = await context.newPage();
    const { faults, posts } = watch(page);
    await body({ what, page, link: links[0], posts });
    checks.none(`${what}: errors and calls`, faults);
    await context.close();
  });
}

const answers = (checks, browser, script, assurance) =>
  scene(checks, browser, script, `answer under ${assurance}`, { ...QUESTION, assurance }, async (it) => {
    const { what, page, link } = it;
    await page.goto(link.url);
    await fill(page, FIELDS);
    if (assurance === "code") await page.locator("input[name=code]").fill(link.code);
    await sleep(READING_MS);
    let response = await press(page, "approve");
    const isTwoSteps = assurance === "confirm";
    checks.equal(`${what}: second step`, await asksToConfirm(page), isTwoSteps);
    if (isTwoSteps) {
      checks.equal(`${what}: after the first step`, await link.recorded(), null);
      await sleep(CONFIRMING_MS);
      response = await pressOnly(page);
    }
    checks.equal(what, await link.recorded(), { option: "approve", fields: VALUES });
    await checkReload(checks, it, response);
  });

// The form led to the page (303), so that a reload is a GET, and changes nothing.
export async function checkReload(checks, { what, page, link, posts }, response) {
  const posted = response.request().redirectedFrom();
  checks.equal(`${what}: sent by`, posted?.method(), "POST");
  checks.equal(`${what}: redirect`, posted && (await posted.response())?.status(), 303);
  checks.equal(`${what}: shown by`, response.request().method(), "GET");
  checks.equal(`${what}: address`, page.url(), link.url);
  const [n, before] = [posts.length, await link.asked.read()];
  const again = await page.reload();
  checks.equal(`${what}: reload`, [again.request().method(), posts.length - n], ["GET", 0]);
  checks.equal(`${what}: answer after the reload`, await link.asked.read(), before);
}

// Under `on_timeout`, the page shows the recorded answer, and takes another one.
const changes = (checks, browser, script) =>
  scene(checks, browser, script, "change", { ...QUESTION, mode: "on_timeout" }, async (it) => {
    const { what, page, link } = it;
    await link.answer({ option: "later", fields: VALUES });
    await page.goto(link.url);
    await sleep(READING_MS);
    // The earlier values are still in the fields.
    const response = await press(page, "reject");
    checks.equal(what, await link.recorded(), { option: "reject", fields: VALUES });
    await checkReload(checks, it, response);
  });

// A form with faults comes back as it was written, and decides once it is correct.
const correctsFaults = (checks, browser, script) =>
  scene(checks, browser, script, "correction", QUESTION, async (it) => {
    const { what, page, link } = it;
    await page.goto(link.url);
    await fill(page, FIELDS);
    await page.locator("input[type=number]").evaluate((it) => (it.form.noValidate = true));
    await page.locator("input[type=number]").fill("99");
    await sleep(READING_MS);
    const refused = await press(page, "approve");
    checks.equal(`${what}: faulty form`, [refused.status(), await link.recorded()], [422, null]);
    const number = FIELDS.find(({ field }) => field.type === "number");
    await fill(page, [number]);
    await sleep(READING_MS);
    const response = await press(page, "approve");
    checks.equal(what, await link.recorded(), { option: "approve", fields: VALUES });
    await checkReload(checks, it, response);
  });

// The recorded answer has changed while the page was open: the form asks again, even after a long time.
const learnsOfAnotherAnswer = (checks, browser, script) =>
  scene(checks, browser, script, "outdated page", { ...BARE, mode: "on_timeout" }, async (it) => {
    const { what, page, link } = it;
    await page.goto(link.url);
    await link.answer({ option: "later" });
    await sleep(READING_MS);
    await press(page, "reject");
    checks.equal(`${what}: second step`, await page.locator(CONFIRMATION).count(), 1);
    checks.equal(`${what}: after the first step`, await link.recorded(), { option: "later", fields: {} });
    await sleep(CONFIRMING_MS);
    const response = await pressOnly(page);
    checks.equal(what, await link.recorded(), { option: "reject", fields: {} });
    await checkReload(checks, it, response);
  });

// `?option=` shows that option only, decides nothing, and leads to the same page.
const followsChosenLink = (checks, browser, script) =>
  scene(checks, browser, script, "link with an option", BARE, async (it) => {
    const { what, page, link } = it;
    await page.goto(`${link.url}?option=reject`);
    await sleep(READING_MS);
    checks.equal(`${what}: opened`, await link.recorded(), null);
    const buttons = await page.locator("form button[name=option]:visible").all();
    const values = await Promise.all(buttons.map((it) => it.getAttribute("value")));
    checks.equal(`${what}: buttons`, values.filter((it) => it !== ""), ["reject"]);
    const response = await press(page, "reject");
    checks.equal(what, await link.recorded(), { option: "reject", fields: {} });
    await checkReload(checks, it, response);
  });

// A field that only "Reject" requires does not keep the browser from sending "Approve".
const needsNoReason = (checks, browser, script) => {
  const fields = [{ key: "why", type: "text", label: "Why?", required: ["reject"] }];
  return scene(checks, browser, script, "reason for one option", { ...BARE, fields }, async (it) => {
    const { what, page, link } = it;
    await page.goto(link.url);
    const refused = await press(page, "reject");
    checks.equal(`${what}: without it`, [refused.status(), await link.recorded()], [422, null]);
    await sleep(READING_MS);
    const response = await press(page, "approve");
    checks.equal(what, (await link.recorded())?.option, "approve");
    await checkReload(checks, it, response);
  });
};
