// Deliberate faults of pages: each is put into a page on its way to Chromium, and a check must find it.

import { open, press, watch } from "./browser.js";
import { Checks, pool, sleep } from "./checks.js";
import { enter, walk } from "./keyboard.js";
import { inspect } from "./matrix.js";
import { checkReload } from "./person.js";
import { BARE, QUESTION } from "./questions.js";
import { ask } from "./stack.js";

const WINDOW = { script: true, width: 320, scheme: "light" };
const READING_MS = 2_200;
const AT_ONCE = 3;

const insert = (html) => (page) => page.replace("</main>", `${html}</main>`);
const style = (css) => (page) => page.replace("</head>", `<style>${css}</style></head>`);
const remove = (pattern) => (page) => page.replace(pattern, "");
const outline = (value) => `:focus-visible { outline: ${value} !important }`;
// No program listens there.
const IMAGE = '<img alt="" src="http://127.0.0.1:9/">';

// Name, change, its check, the failure of that check, and whether the page loses its policy.
const FAULTS = [
  ["an element that is too wide", insert('<table width="900"><tr><td>wide</td></tr></table>'), looks, /overflow/],
  ["an input without a label", remove(' for="field-0"'), looks, /axe-core: .*label/],
  ["faint text", style("h1 { color: #ccc !important }"), looks, /axe-core: .*color-contrast/, true],
  ["a script", insert("<script>document.title = 'x'</script>"), looks, /errors: .*script-src/],
  ["an error of a script", insert("<script>missing()</script>"), looks, /script error/, true],
  ["an image that the policy forbids", insert(IMAGE), looks, /errors: .*img-src/],
  ["an image of another site", insert(IMAGE), looks, /another origin/, true],
  ["an image of this site", insert('<img alt="" src="/x.png">'), looks, /loaded a image/, true],
  ["no outline", style(outline("none")), tabs, /outline: none/, true],
  ["an invisible outline", style(outline("3px solid transparent")), tabs, /looks different/, true],
  ["options in another order", style(".options { flex-flow: column-reverse !important }"), tabs, /order/, true],
  ["a button that Tab skips", (it) => it.replace('value="reject"', 'value="reject" tabindex="-1"'), tabs, /Tab reaches/],
  ["a first button that approves", remove(/<button[^>]*value=""[^>]*>.*?<\/button>/s), presses, /Enter/],
  ["a form without redirect", (it) => it, reloads, /redirect/],
];

export async function faults(checks, browser) {
  await pool(AT_ONCE, FAULTS, ([name, change, scene, expected, isWithoutPolicy = false]) =>
    checks.scene(name, async () => {
      const found = new Checks({ isSilent: true });
      await scene(found, browser, altered(change, isWithoutPolicy));
      const isFound = found.failures.some((it) => expected.test(it));
      checks.check(name, isFound, `no check found it; failures: ${found.failures.join("; ") || "none"}`);
    }),
  );
}

// A route that changes each page.
const altered = (change, isWithoutPolicy) => async (route) => {
  if (route.request().method() !== "GET") return route.continue();
  const response = await route.fetch();
  const headers = { ...response.headers() };
  if (isWithoutPolicy) delete headers["content-security-policy"];
  return route.fulfill({ response, headers, body: change(await response.text()) });
};

async function opened(browser, route, question, scene) {
  const { links } = await ask(1, question);
  const context = await open(browser, WINDOW);
  const page = await context.newPage();
  const { faults, posts } = watch(page);
  await page.route("**/a/*", route);
  await page.goto(links[0].url);
  await scene({ what: "page", page, link: links[0], posts, faults });
  await context.close();
}

async function looks(checks, browser, route) {
  await opened(browser, route, QUESTION, async ({ what, page, faults }) => {
    await inspect(checks, what, page, WINDOW);
    checks.none(`${what}: errors`, faults);
  });
}

async function tabs(checks, browser, route) {
  await opened(browser, route, BARE, ({ what, page }) => walk(checks, what, page));
}

async function presses(checks, browser, route) {
  const field = { key: "why", type: "text", label: "Why?", required: true };
  const { links } = await ask(1, { ...BARE, fields: [field] });
  await enter(checks, "Enter", browser, links[0], '[name="field.why"]', "text", route);
}

// The form is recorded, but the page of the response is that of the form.
async function reloads(checks, browser) {
  const direct = async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    const response = await route.fetch();
    return route.fulfill({ response });
  };
  await opened(browser, direct, BARE, async (it) => {
    await sleep(READING_MS);
    const response = await press(it.page, "approve");
    await checkReload(checks, it, response);
  });
}
