//! `answerback hook ask-user-question`: people answer the questions of an agent.

use std::{collections::BTreeSet, fmt::Write as _};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    HookFlags,
    asking::{Asking, Question},
    event::{Event, shortened},
};
use crate::{
    exit::Failure,
    request::{Request, Response},
    wait::Accepted,
};

/// The tool by which Claude Code asks.
pub(super) const ASK_USER_QUESTION: &str = "AskUserQuestion";

const EVENT: &str = "PreToolUse";
/// Limits of the API, in characters and entries.
const TITLE_CHARS_MAX: usize = 200;
const BODY_CHARS_MAX: usize = 10_000;
const LABEL_CHARS_MAX: usize = 75;
const VALUE_CHARS_MAX: usize = 100;
const OPTIONS_MAX: usize = 10;
/// Most characters of a preview.
const PREVIEW_CHARS_MAX: usize = 600;

/// The input of the tool.
#[derive(Deserialize)]
struct ToolInput {
    questions: Vec<Asked>,
}

/// A question of the agent.
#[derive(Deserialize)]
struct Asked {
    question: String,
    options: Vec<Choice>,
    #[serde(default, rename = "multiSelect")]
    is_multiple: bool,
}

#[derive(Deserialize)]
struct Choice {
    label: String,
    #[serde(default)]
    description: String,
    /// Text such as a mockup, to compare the options by.
    #[serde(default)]
    preview: String,
}

/// Asks the agent's questions. Returns the hook's output.
pub(super) async fn answer(flags: &HookFlags, input: &str) -> Result<Option<Value>, Failure> {
    let event = Event::read(input, EVENT)?;
    let form = Form::read(&event)?;
    let question = form.question(&event);
    let values: Vec<String> = match form.buttons() {
        Some(asked) => asked.options.iter().map(Choice::value).collect(),
        None => Vec::new(),
    };
    let accepted = Accepted::of(&[], &values)?;
    let mut asking = Asking::new(flags)?;
    let Some(shown) = asking.ask(&question, &accepted).await? else { return Ok(None) };
    Ok(form.output(&shown.request))
}

/// The questions, as one request asks them.
struct Form {
    questions: Vec<Asked>,
    /// The tool's input. The hook's output replaces all of it.
    input: Map<String, Value>,
}

impl Form {
    fn read(event: &Event<'_>) -> anyhow::Result<Self> {
        ensure!(
            event.tool_name == ASK_USER_QUESTION,
            "this hook is for the tool {ASK_USER_QUESTION}, not {}",
            event.tool()
        );
        let unknown = "the input of the tool has another form than expected";
        let input: Map<String, Value> =
            serde_json::from_str(event.tool_input.get()).context(unknown)?;
        let ToolInput { questions } = ToolInput::deserialize(&input).context(unknown)?;
        ensure!(!questions.is_empty(), "the agent asks nothing");
        let different: BTreeSet<&str> = questions.iter().map(|it| it.question.as_str()).collect();
        ensure!(different.len() == questions.len(), "two questions have the same text");
        for asked in &questions {
            let values: BTreeSet<String> = asked.options.iter().map(Choice::value).collect();
            ensure!(values.len() == asked.options.len(), "two options have the same label");
        }
        Ok(Self { questions, input })
    }

    /// The question whose options are the buttons, if there is just that one.
    fn buttons(&self) -> Option<&Asked> {
        match &self.questions[..] {
            [asked] if !asked.is_multiple && asked.options.len() <= OPTIONS_MAX => Some(asked),
            _ => None,
        }
    }

    fn question(&self, event: &Event<'_>) -> Question<'static> {
        let choices =
            |asked: &Asked| asked.options.iter().map(Choice::to_json).collect::<Vec<Value>>();
        let (title, options, fields) = if let Some(asked) = self.buttons() {
            (shortened(&asked.question, TITLE_CHARS_MAX), choices(asked), Vec::new())
        } else {
            let fields = self.questions.iter().enumerate().map(|(number, asked)| {
                json!({
                    "key": key(number),
                    "type": if asked.is_multiple { "multi_select" } else { "select" },
                    "label": shortened(&asked.question, LABEL_CHARS_MAX),
                    "required": true,
                    "choices": choices(asked),
                })
            });
            (format!("An agent asks in {}", event.folder()), Vec::new(), fields.collect())
        };
        Question { title, body: self.body(event), action: None, consume: None, options, fields }
    }

    /// The questions in full, with the descriptions of their options.
    fn body(&self, event: &Event<'_>) -> String {
        // It must not be cut off.
        let mut body = format!("{}\n\n", event.place());
        for asked in &self.questions {
            writeln!(body, "**{}**\n", asked.question.trim()).expect("a string takes everything");
            for Choice { label, description, preview } in &asked.options {
                let colon = if description.is_empty() { "" } else { ": " };
                let label = literal(label);
                writeln!(body, "- {label}{colon}{description}").expect("a string takes everything");
                body.push_str(&code_block(preview));
            }
            body.push('\n');
        }
        if body.chars().count() <= BODY_CHARS_MAX {
            return body;
        }
        body.chars().take(BODY_CHARS_MAX - 1).chain(['…']).collect()
    }

    /// The hook's output. `None` without an answer to each question.
    fn output(&self, request: &Request) -> Option<Value> {
        let answered = request.responses.iter().filter(|it| it.answered_at.is_some());
        let response = answered.min_by_key(|it| it.answered_at)?;
        let mut answers = Map::new();
        for (number, asked) in self.questions.iter().enumerate() {
            let chosen = match self.buttons() {
                Some(_) => json!(request.decision),
                None => response.fields.get(&key(number))?.clone(),
            };
            answers.insert(asked.question.clone(), asked.labels(&chosen)?.into());
        }
        let mut input = self.input.clone();
        input.insert("answers".to_owned(), answers.into());
        Some(json!({ "hookSpecificOutput": {
            "hookEventName": EVENT,
            "permissionDecision": "allow",
            "permissionDecisionReason": reason(response),
            "updatedInput": input,
        }}))
    }
}

impl Asked {
    /// The labels of the chosen values, as the tool takes them: joined by commas.
    fn labels(&self, chosen: &Value) -> Option<String> {
        let chosen = match chosen {
            Value::Array(values) if self.is_multiple => &values[..],
            Value::String(_) => std::slice::from_ref(chosen),
            _ => return None,
        };
        let label = |value: &Value| {
            let found = self.options.iter().find(|it| Some(it.value().as_str()) == value.as_str());
            found.map(|it| it.label.as_str())
        };
        let labels: Option<Vec<&str>> = chosen.iter().map(label).collect();
        labels.filter(|it| !it.is_empty()).map(|it| it.join(", "))
    }
}

impl Choice {
    fn value(&self) -> String {
        shortened(&self.label, VALUE_CHARS_MAX)
    }

    fn to_json(&self) -> Value {
        json!({ "value": self.value(), "label": shortened(&self.label, LABEL_CHARS_MAX) })
    }
}

/// Text as a code block in an item of a list, which it cannot end.
fn code_block(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    // So that all options keep theirs.
    let is_long = text.chars().count() > PREVIEW_CHARS_MAX;
    let text: String = text.chars().take(PREVIEW_CHARS_MAX).collect();
    let lines = text.lines().flat_map(|it| it.split('\r')).chain(is_long.then_some("…"));
    let indented = lines.fold(String::new(), |block, line| block + "      " + line + "\n");
    format!("\n{indented}\n")
}

/// Text without a meaning in Markdown, where it could begin a list of its own.
fn literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, character| {
        if character.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(if character.is_control() { ' ' } else { character });
        out
    })
}

/// The key of the field for a question.
fn key(number: usize) -> String {
    format!("question_{}", number + 1)
}

fn reason(response: &Response) -> String {
    format!("Answered by {}.", response.recipient.as_deref().unwrap_or("a person"))
}
