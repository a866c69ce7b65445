// The keyboard alone: every control is reached in the order in which it is seen, the focus is visible,
// Enter in a control decides nothing, and an answer needs no mouse.

import { asksToConfirm, open, watch } from "./browser.js";
import { pool, sleep } from "./checks.js";
import { BARE, FIELDS, QUESTION, VALUES } from "./questions.js";
import { ask } from "./stack.js";
import { STATES } from "./states.js";

const WALKED = ["open", "open-chosen", "faulty", "confirmation", "code", "locked", "changeable", "home", "inbox", "outbox"];
const TABS_MAX = 120;
const OUTLINE_MARGIN_PX = 6;
// Longer than a form takes to decide.
const READING_MS = 2_200;
const AT_ONCE = 4;

export async function keyboard(checks, browser) {
  const scenes = [
    ...WALKED.flatMap((name) => [320, 1280].map((width) => () => walkState(checks, browser, name, width))),
    ...FIELDS.map((it) => () => enterInField(checks, browser, it)),
    () => enterInCode(checks, browser),
    ...["Enter", "Space"].map((key) => () => answerByKeys(checks, browser, key)),
  ];
  await pool(AT_ONCE, scenes, (scene) => scene());
}

async function walkState(checks, browser, name, width) {
  const what = `${name}, ${width} px`;
  await checks.scene(what, async () => {
    const state = STATES.find((it) => it.name === name);
    const [link] = await state.links(1);
    const context = await open(browser, { width });
    const page = await context.newPage();
    await state.open(page, link);
    await walk(checks, what, page);
    await context.close();
  });
}

// Presses Tab from the start of the page to its end.
export async function walk(checks, what, page) {
  const expected = await page.evaluate(numberControls);
  const stops = [];
  for (let i = 0; i < TABS_MAX; i += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(focused);
    // The parts of a date are stops of one control.
    if (stop && stop.n === stops.at(-1)?.n) continue;
    if (!stop || stops.some((it) => it.n === stop.n)) break;
    await checkVisible(checks, `${what}: focus on ${stop.name}`, page, stop);
    stops.push(stop);
  }
  const reached = stops.filter((it) => it.isControl).map((it) => it.n);
  checks.equal(`${what}: controls that Tab reaches`, [...reached].sort((a, b) => a - b), expected);
  for (let i = 1; i < stops.length; i += 1) {
    const [one, next] = [stops[i - 1], stops[i]];
    const isBelow = next.top >= one.bottom - 1;
    const isRight = next.top < one.bottom && next.bottom > one.top && next.left >= one.left;
    checks.check(`${what}: order`, isBelow || isRight, `${next.name} comes after ${one.name}`);
  }
}

// In the page: numbers all visible controls, and returns the numbers.
function numberControls() {
  const isVisible = (it) => it.checkVisibility() && it.getBoundingClientRect().width > 1;
  const all = "a[href], button, input:not([type=hidden]), select, textarea, summary";
  const controls = [...document.querySelectorAll(all)].filter((it) => isVisible(it) && !it.disabled);
  controls.forEach((it, i) => (it.dataset.n = i));
  return controls.map((_, i) => i);
}

// In the page: the element with the focus, or null. Scrolled tables are stops, too.
function focused() {
  const it = document.activeElement;
  if (!it || it === document.body || it === document.documentElement) return null;
  it.dataset.n ??= `other-${document.querySelectorAll("[data-n]").length}`;
  const { left, top, right, bottom } = it.getBoundingClientRect();
  const { outlineStyle, outlineWidth } = getComputedStyle(it);
  return {
    n: it.dataset.n.startsWith("other") ? it.dataset.n : Number(it.dataset.n),
    isControl: !it.dataset.n.startsWith("other"),
    name: `<${it.localName} ${it.name || it.className || it.getAttribute("href") || ""}>`,
    left: left + window.scrollX,
    right: right + window.scrollX,
    top: top + window.scrollY,
    bottom: bottom + window.scrollY,
    // `auto` is the browser's own ring.
    hasOutline: outlineStyle === "auto" || (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2),
    isInWindow: bottom > 0 && top < window.innerHeight,
  };
}

// The control looks different with the focus, outside of itself, and is in the window.
async function checkVisible(checks, what, page, stop) {
  checks.check(`${what}: in the window`, stop.isInWindow, `at ${stop.top} px`);
  checks.check(`${what}: outline`, stop.hasOutline, "none of 2 px");
  const margin = OUTLINE_MARGIN_PX;
  const clip = {
    x: Math.max(0, stop.left - margin),
    y: Math.max(0, stop.top - margin),
    width: stop.right - stop.left + 2 * margin,
    height: stop.bottom - stop.top + 2 * margin,
  };
  const shoot = () => page.screenshot({ clip, fullPage: true });
  const withFocus = await shoot();
  await page.evaluate(() => document.activeElement.style.setProperty("outline", "none", "important"));
  const without = await shoot();
  await page.evaluate(() => document.activeElement.style.removeProperty("outline"));
  checks.check(`${what}: looks different`, !withFocus.equals(without), "the outline is not visible");
}

// Enter in a control of a form that is complete, after the time of a person.
async function enterInField(checks, browser, { field }) {
  const what = `Enter in a ${field.type}`;
  await checks.scene(what, async () => {
    const defaults = QUESTION.fields.map((it) => (it.key === field.key ? it : { ...it, required: false }));
    const { links } = await ask(1, { ...QUESTION, fields: defaults });
    await enter(checks, what, browser, links[0], `[name="field.${field.key}"]:not([type=hidden])`);
  });
}

async function enterInCode(checks, browser) {
  await checks.scene("Enter in the code", async () => {
    const { links } = await ask(1, { ...BARE, assurance: "code" });
    await enter(checks, "Enter in the code", browser, links[0], "input[name=code]", links[0].code);
  });
}

export async function enter(checks, what, browser, link, selector, text = "", route = undefined) {
  const context = await open(browser);
  const page = await context.newPage();
  if (route) await page.route("**/a/*", route);
  await page.goto(link.url);
  await sleep(READING_MS);
  for (const it of await page.locator("input[required][type=text]").all()) await it.fill(text || "text");
  await page.locator(selector).first().focus();
  await page.keyboard.press("Enter");
  await page.waitForLoadState("load");
  await sleep(300);
  checks.equal(what, await link.recorded(), null);
  checks.check(`${what}: second step`, !(await asksToConfirm(page)), "Enter chose an option");
  await context.close();
}

// Fills in the form and presses the last option, with Tab, letters and `key`.
async function answerByKeys(checks, browser, key) {
  const what = `an answer by ${key}`;
  await checks.scene(what, async () => {
    const { links } = await ask(1, QUESTION);
    const context = await open(browser);
    const page = await context.newPage();
    const { faults } = watch(page);
    await page.goto(links[0].url);
    const done = new Set();
    for (let i = 0; i < TABS_MAX; i += 1) {
      await page.keyboard.press("Tab");
      const { name, value, type } = await page.evaluate(() => {
        const { name, value, type } = document.activeElement;
        return { name, value, type };
      });
      const example = FIELDS.find((it) => name === `field.${it.field.key}`);
      if (name === "option" && value === "reject") break;
      if (example && (type === "checkbox" || !done.has(name))) await enterByKeys(page, example, value);
      done.add(name);
    }
    await sleep(READING_MS);
    await page.keyboard.press(key);
    await page.waitForURL(links[0].url);
    await page.waitForLoadState("load");
    const fields = { ...VALUES };
    for (const { field, keys, entry } of FIELDS) {
      if (["text", "textarea"].includes(field.type) && keys !== entry) fields[field.key] = keys;
    }
    checks.equal(what, await recordedSoon(links[0]), { option: "reject", fields });
    checks.none(`${what}: errors and calls`, faults);
    await context.close();
  });
}

async function enterByKeys(page, { field, entry, keys }, value) {
  if (field.type === "select") {
    const steps = field.choices.findIndex((it) => it.value === entry[0]) + 1;
    for (let i = 0; i < steps; i += 1) await page.keyboard.press("ArrowDown");
  } else if (Array.isArray(entry)) {
    if (entry.includes(value)) await page.keyboard.press("Space");
  } else {
    await page.keyboard.type(keys);
  }
}

async function recordedSoon(link) {
  for (let i = 0; i < 50; i += 1) {
    const recorded = await link.recorded();
    if (recorded) return recorded;
    await sleep(100);
  }
  return null;
}
