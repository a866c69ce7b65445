// Chromium, its windows, and the faults that every page is watched for.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { ORIGIN } from "./stack.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// The form of the second step.
export const CONFIRMATION = "form:has(input[type=hidden][name=option])";
const TIMEOUT_MS = 30_000;
const HEIGHT_PX = 900;
const ARGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function launch() {
  // Only pages of ours are opened. Chromium's sandbox refuses root and most containers.
  return chromium.launch({ executablePath: process.env.CHROMIUM, args: ARGS, chromiumSandbox: false });
}

// A window: `{ script, width, scheme }`.
export async function open(browser, { script = true, width = 1280, scheme = "light" } = {}) {
  const context = await browser.newContext({
    javaScriptEnabled: script,
    viewport: { width, height: HEIGHT_PX },
    colorScheme: scheme,
    reducedMotion: "reduce",
    locale: "en-US",
  });
  context.setDefaultTimeout(TIMEOUT_MS);
  // Only where script is on: the console has these, too.
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (it) => {
      console.error(`securitypolicyviolation: ${it.violatedDirective} ${it.blockedURI}`);
    });
  });
  return context;
}

// Records what no page may do: errors, calls of other origins, and anything but documents.
export function watch(page) {
  const faults = [];
  const posts = [];
  const documents = new Set();
  page.on("pageerror", (error) => faults.push(`script error: ${error.message}`));
  page.on("console", (message) => {
    const text = message.text();
    // The document itself may be an error page. States check its status.
    const isStatus = /^Failed to load resource: the server responded with a status of/.test(text);
    const isDocument = isStatus && documents.has(message.location().url);
    if (!isDocument && (message.type() === "error" || /content.security.policy/i.test(text))) {
      faults.push(`console: ${text}`);
    }
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (request.isNavigationRequest()) documents.add(url.href);
    if (url.origin !== ORIGIN) faults.push(`called another origin: ${url.origin}`);
    else if (request.resourceType() !== "document" && url.pathname !== "/favicon.ico") {
      faults.push(`loaded a ${request.resourceType()}: ${url.pathname}`);
    }
    if (request.method() === "POST") posts.push(request);
  });
  return { faults, posts };
}

// Pixels that are too wide for the window.
export async function overflow(page) {
  return page.evaluate(() => document.scrollingElement.scrollWidth - window.innerWidth);
}

// Violations of axe-core's rules, in words. The page's CSP stays as it is.
export async function violations(page) {
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() =>
    // Nothing is loaded again, and no other page is asked.
    axe.run(document, { preload: false, iframes: false, resultTypes: ["violations"] }),
  );
  if (passes.length === 0) return ["axe-core checked nothing"];
  return violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.target).join(", ")}`);
}

// Fills in the fields of the page, by the entries in `fields`.
export async function fill(page, fields) {
  for (const { field, entry } of fields) {
    const controls = page.locator(`[name="field.${field.key}"]:not([type=hidden])`);
    const first = controls.first();
    const kind = await first.evaluate((it) => (it.localName === "input" ? it.type : it.localName));
    if (kind === "select") await first.selectOption(entry);
    else if (kind !== "checkbox" && kind !== "radio") await first.fill(entry);
    else for (const it of entry) await controls.and(page.locator(`[value="${it}"]`)).check();
  }
}

// Presses the button of an option, and returns the response of the page that follows.
export async function press(page, option) {
  return pressButton(page, page.locator(`form button[name=option][value="${option}"]`));
}

// Presses the only visible button of a form, as in the second step.
export async function pressOnly(page) {
  return pressButton(page, page.locator("form button:visible"));
}

async function pressButton(page, button) {
  const followed = page.waitForResponse((it) => it.request().isNavigationRequest() && !isRedirect(it));
  await button.click();
  const response = await followed;
  await page.waitForLoadState("load");
  return response;
}

function isRedirect(response) {
  return response.status() >= 300 && response.status() < 400;
}

// The browser itself no longer checks the form, as if it were old.
export async function skipValidation(page) {
  await page.evaluate(() => document.querySelectorAll("form").forEach((it) => (it.noValidate = true)));
}

export async function asksToConfirm(page) {
  return (await page.locator(CONFIRMATION).count()) === 1;
}
