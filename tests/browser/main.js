// Opens pages of the local stack in Chromium. Started by `run`, with these parts:
//
// - matrix: each state × script × width × color scheme, with axe-core and screenshots
// - keyboard: order and visibility of the focus, Enter, and answers without a mouse
// - person: a person who reads and answers, under each assurance
// - scanner: programs that open links, submit forms and press buttons
// - faults: pages with deliberate faults, each of which a check above must find

import { launch } from "./browser.js";
import { Checks } from "./checks.js";

const PARTS = ["matrix", "keyboard", "person", "scanner", "faults"];

const PART_SECONDS_MAX = 300;

const names = process.argv.length > 2 ? process.argv.slice(2) : PARTS;
const browser = await launch();
const all = [];
for (const name of names) {
  if (!PARTS.includes(name)) throw new Error(`unknown part: ${name} (known: ${PARTS.join(" ")})`);
  const { [name]: part } = await import(`./${name}.js`);
  const checks = new Checks();
  const began = performance.now();
  console.log(`${name} …`);
  await checks.scene(name, () => part(checks, browser), PART_SECONDS_MAX);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`${name}: ${checks.n} checks, ${checks.failures.length} failed, ${seconds} s`);
  all.push(checks);
}
await browser.close();
const failures = all.flatMap((it) => it.failures);
const n = all.reduce((sum, it) => sum + it.n, 0);
console.log(`${n} checks in Chromium ${browser.version()}, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;
