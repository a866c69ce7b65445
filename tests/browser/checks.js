// Counts checks, and runs things at the same time.

const SCENE_SECONDS_MAX = 60;

export class Checks {
  n = 0;
  failures = [];

  // Silent checks are those that are expected to fail.
  constructor({ isSilent = false } = {}) {
    this.isSilent = isSilent;
  }

  check(what, isRight, detail = "") {
    this.n += 1;
    if (!isRight) this.fail(what, detail);
  }

  equal(what, actual, expected) {
    const [got, wanted] = [actual, expected].map((it) => JSON.stringify(it, sorted));
    this.check(what, got === wanted, `expected ${wanted}, got ${got}`);
  }

  // Nothing was found.
  none(what, found) {
    this.check(what, found.length === 0, found.join("; "));
  }

  fail(what, detail) {
    this.failures.push(`${what}: ${detail}`);
    if (!this.isSilent) console.error(`  FAILED ${what}: ${detail}`);
  }

  // An error of a scene is a failure, and the others go on.
  async scene(what, body, seconds_max = SCENE_SECONDS_MAX) {
    const late = new Promise((_, reject) => {
      const error = new Error(`took more than ${seconds_max} s`);
      setTimeout(reject, seconds_max * 1000, error).unref();
    });
    try {
      await Promise.race([body(), late]);
    } catch (error) {
      this.n += 1;
      this.fail(what, String(error.stack ?? error).split("\n").slice(0, 6).join("\n    "));
    }
  }
}

function sorted(_, value) {
  const isObject = value && typeof value === "object" && !Array.isArray(value);
  return isObject ? Object.fromEntries(Object.entries(value).sort()) : value;
}

// Runs `work` for all items, at most `n` at a time.
export async function pool(n, items, work) {
  const rest = [...items];
  const worker = async () => {
    while (rest.length > 0) await work(rest.shift());
  };
  await Promise.all(Array.from({ length: n }, worker));
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
