// Each state of the pages × script on and off × narrow and wide × light and dark.

import { open, overflow, violations, watch } from "./browser.js";
import { pool } from "./checks.js";
import { STATES } from "./states.js";

const WINDOWS = [true, false].flatMap((script) =>
  [320, 1280].flatMap((width) => ["light", "dark"].map((scheme) => ({ script, width, scheme }))),
);
const WINDOWS_AT_ONCE = 3;

export async function matrix(checks, browser) {
  const links = new Map();
  await pool(STATES.length, STATES, (state) =>
    checks.scene(`${state.name}: preparation`, async () => {
      links.set(state, await state.links(WINDOWS.length));
    }),
  );
  await pool(WINDOWS_AT_ONCE, [...WINDOWS.entries()], async ([i, window]) => {
    const context = await open(browser, window);
    const page = await context.newPage();
    const { faults } = watch(page);
    for (const state of STATES.filter((it) => links.has(it))) {
      const what = `${state.name}, ${window.script ? "script" : "no script"}, ${window.width} px, ${window.scheme}`;
      await checks.scene(what, async () => {
        faults.length = 0;
        const response = await state.open(page, links.get(state)[i]);
        checks.equal(`${what}: status`, (await response).status(), state.status);
        checks.check(`${what}: state`, (await page.locator(state.shows).count()) > 0, `no ${state.shows}`);
        await inspect(checks, what, page, window);
        if (window.script) {
          await page.screenshot({ path: `${state.name}-${window.width}-${window.scheme}.png`, fullPage: true });
        }
        checks.none(`${what}: errors and calls`, faults);
      });
    }
    await context.close();
  });
}

export async function inspect(checks, what, page, window) {
  const tooWide = await overflow(page);
  checks.check(`${what}: overflow`, tooWide <= 0, `${tooWide} px too wide`);
  // axe-core works with script only.
  if (window.script) checks.none(`${what}: axe-core`, await violations(page));
}
