// Questions with every kind of field and every style of option, and the answers that people give.

import { openApi } from "./stack.js";

const CHOICES = [
  { value: "a", label: "First window, Saturday from 06:00 to 08:00" },
  { value: "b", label: "Second window" },
  { value: "c", label: "Third window" },
];

// `entry` is typed or chosen, `value` is recorded.
const EXAMPLES = {
  text: { field: { max_length: 200, required: true }, entry: "v2.4.1 – naïve ✓ <b>", keys: "v2.4.1" },
  textarea: { field: { max_length: 2000 }, entry: "First line\nsecond line", keys: "First line" },
  number: { field: { min: 1, max: 10 }, entry: "2.5", value: 2.5 },
  select: { field: { choices: CHOICES }, entry: ["b"], value: "b" },
  multi_select: { field: { choices: CHOICES }, entry: ["a", "c"], value: ["a", "c"] },
  date: { field: { min: "2026-01-01", max: "2099-12-31" }, entry: "2031-12-24", keys: "12242031" },
  toggle: { field: {}, entry: ["true"], value: true },
};

const HELP = "Kept with the answer, and shown to the sender only";
const PLACEHOLDERS = { text: "v1.2.3", textarea: "Anything else", number: "3" };

export const OPTIONS = [
  { value: "approve", label: "Approve", style: "primary" },
  { value: "later", label: "Ask me again after the maintenance window of next week", style: "secondary" },
  { value: "reject", label: "Reject", style: "destructive" },
];

export const BODY = `The old tables were last read in **March**. See the
[runbook](https://example.com/a/very/long/path/that/does/not/break/anywhere/because/it/has/no/spaces).

## Tables

| table | rows | last read | owner |
| --- | ---: | --- | --- |
| \`orders_before_the_migration_of_2019\` | 1,204,331 | 2026-03-01 | payments |
| \`sessions\` | 88 | never | unassigned |

1. Take a backup.
2. Drop them.

> A quotation, with \`code_in_it\`.

\`\`\`
DROP TABLE orders_before_the_migration_of_2019, sessions, and_another_one_with_a_long_name CASCADE;
\`\`\`

${"Averylongwordwithoutanyspaces".repeat(5)}
`;

const document = await openApi();
const schemas = Object.values(document.components.schemas);
const Field = schemas.find((it) => it.properties?.type?.enum?.includes("textarea"));

const NewRequest = schemas.find((it) => it.properties?.timeout_seconds && it.properties.title);

// Languages of the page's own words that a request may ask for, if the API has them.
export const LOCALES = NewRequest.properties.locale ? ["en", "de", "es"] : [];

// A field may be required by some options only, if the API has that.
export const HAS_REQUIRED_FOR = JSON.stringify(Field.properties.required).includes('"array"');

// The kinds of fields that the API documents. Each needs an example here.
export const KINDS = Field.properties.type.enum;

function example(kind) {
  const known = EXAMPLES[kind];
  if (!known) throw new Error(`questions.js needs an example of the field type ${kind}`);
  const { field, entry, keys = entry, value = entry } = known;
  const whole = { key: `the ${kind}`, type: kind, label: `A ${kind} of the release`, ...field };
  if (Field.properties.help) whole.help = HELP;
  if (Field.properties.placeholder && PLACEHOLDERS[kind]) whole.placeholder = PLACEHOLDERS[kind];
  return { field: whole, entry, keys, value };
}

export const FIELDS = KINDS.map(example);

// The values of the API for an answer with all fields.
export const VALUES = Object.fromEntries(FIELDS.map((it) => [it.field.key, it.value]));

export const QUESTION = {
  title: "Drop the tables that were last read before the migration of 2019?",
  body: BODY,
  options: OPTIONS,
  fields: FIELDS.map((it) => it.field),
};

// Each of its options decides at once.
export const BARE = { title: "Deploy?", options: OPTIONS };
