//! The fields of a form: every type, its limits, and defaults.

use serde_json::{Value, json};
use system_tests::World;

use super::{WIDE, check_refused};

fn field(members: Value) -> Value {
    let mut field = json!({ "key": "k", "type": "text", "label": "L" });
    let Value::Object(members) = members else { panic!("members are an object: {members}") };
    field.as_object_mut().expect("it is an object").extend(members);
    json!({ "title": "Go?", "fields": [field] })
}

#[tokio::test]
async fn form_has_at_most_twenty_distinct_fields() {
    let world = World::start().await;
    let fields = |n: usize| {
        let field = |it: usize| json!({ "key": it.to_string(), "type": "text", "label": "L" });
        json!({ "title": "Go?", "fields": (0..n).map(field).collect::<Value>() })
    };
    let request = world.create(fields(20)).await;
    assert_eq!(request["options"], json!([]), "the implied option is not shown");
    check_refused(&world, fields(21), &["/fields"]).await;

    let (key, label) = (WIDE.repeat(50), WIDE.repeat(75));
    world.create(field(json!({ "key": key, "label": label }))).await;
    let longer = json!({ "key": format!("{key}{WIDE}"), "label": format!("{label}{WIDE}") });
    check_refused(&world, field(longer), &["/fields/0/key", "/fields/0/label"]).await;

    let fields = json!([
        { "key": "a", "type": "text", "label": "A" },
        { "key": "a", "type": "toggle", "label": "B", "required": "yes" },
        { "key": "", "type": "colour", "label": "" },
        { "key": "b", "label": "B", "choices": [] },
        { "key": "c/d", "type": "number", "label": "C", "a/b~c": 1 },
        {},
    ]);
    let places = [
        "/fields/1/key",
        "/fields/1/required",
        "/fields/2/key",
        "/fields/2/label",
        "/fields/2/type",
        "/fields/3/type",
        "/fields/4/a~1b~0c",
        "/fields/5/key",
        "/fields/5/label",
        "/fields/5/type",
    ];
    check_refused(&world, json!({ "title": "Go?", "fields": fields }), &places).await;
}

#[tokio::test]
async fn field_accepts_members_of_its_type_and_a_valid_default() {
    let world = World::start().await;
    let choices = |n: usize| (0..n).map(|it| json!({ "value": it.to_string(), "label": "L" }));
    let choices = |n: usize| choices(n).collect::<Value>();
    for good in [
        json!({ "max_length": 1, "default": WIDE }),
        json!({ "type": "textarea", "max_length": 10_000, "default": "two\nlines" }),
        json!({ "type": "number", "min": -1.5, "max": -1.5, "default": -1.5 }),
        json!({ "type": "number", "max_length": null, "choices": null, "default": 0 }),
        json!({ "type": "select", "choices": choices(1), "default": "0", "min": null }),
        json!({ "type": "select", "choices": choices(50), "required": true }),
        json!({ "type": "toggle", "default": false, "required": true, "max": null }),
        json!({ "type": "multi_select", "choices": choices(50), "default": ["49", "0"] }),
        json!({ "type": "multi_select", "choices": choices(1), "default": [] }),
        json!({ "type": "date", "min": "2026-02-28", "max": "2026-02-28", "default": "2026-02-28" }),
        json!({ "help": WIDE.repeat(300), "placeholder": WIDE.repeat(75) }),
        json!({ "type": "number", "placeholder": "12" }),
    ] {
        world.create(field(good)).await;
    }
    for (bad, places) in [
        (json!({ "max_length": 0 }), &["max_length"] as &[&str]),
        (json!({ "max_length": 10_001 }), &["max_length"]),
        (json!({ "max_length": 1.5 }), &["max_length"]),
        (json!({ "max_length": 1, "default": "ab" }), &["default"]),
        (json!({ "default": "two\nlines" }), &["default"]),
        (json!({ "default": 1 }), &["default"]),
        (json!({ "default": ["a"] }), &["default"]),
        (json!({ "min": 1, "choices": [] }), &["choices", "min"]),
        (json!({ "type": "number", "min": 2, "max": 1 }), &["max"]),
        (json!({ "type": "number", "min": "1" }), &["min"]),
        (json!({ "type": "number", "min": 1, "default": 0 }), &["default"]),
        (json!({ "type": "number", "default": "1" }), &["default"]),
        (json!({ "type": "number", "max_length": 9 }), &["max_length"]),
        (json!({ "type": "select" }), &["choices"]),
        (json!({ "type": "select", "choices": null }), &["choices"]),
        (json!({ "type": "select", "choices": [] }), &["choices"]),
        (json!({ "type": "select", "choices": choices(51) }), &["choices"]),
        (json!({ "type": "select", "choices": choices(2), "default": "2" }), &["default"]),
        (json!({ "type": "toggle", "default": "true" }), &["default"]),
        (json!({ "type": "toggle", "max": 1 }), &["max"]),
        (json!({ "type": "multi_select" }), &["choices"]),
        (json!({ "type": "multi_select", "choices": choices(2), "default": ["2"] }), &["default"]),
        (json!({ "type": "multi_select", "choices": choices(2), "default": "0" }), &["default"]),
        (json!({ "type": "multi_select", "choices": choices(2), "default": [0] }), &["default"]),
        (json!({ "type": "date", "min": "2026-02-29" }), &["min"]),
        (json!({ "type": "date", "min": 20_260_228 }), &["min"]),
        (json!({ "type": "date", "min": "2026-03-01", "max": "2026-02-28" }), &["max"]),
        (json!({ "type": "date", "max": "2026-02-28", "default": "2026-03-01" }), &["default"]),
        (json!({ "type": "date", "placeholder": "today" }), &["placeholder"]),
        (json!({ "help": WIDE.repeat(301) }), &["help"]),
        (json!({ "placeholder": WIDE.repeat(76) }), &["placeholder"]),
        (json!({ "placeholder": "two\nlines" }), &["placeholder"]),
        (json!({ "required": [] }), &["required"]),
        (json!({ "required": "yes" }), &["required"]),
    ] {
        let places: Vec<_> = places.iter().map(|it| format!("/fields/0/{it}")).collect();
        let places: Vec<_> = places.iter().map(String::as_str).collect();
        check_refused(&world, field(bad), &places).await;
    }
    let choices = json!([
        { "value": "a", "label": "A" },
        { "value": "a", "label": "", "style": "primary" },
    ]);
    let places =
        ["/fields/0/choices/1/label", "/fields/0/choices/1/value", "/fields/0/choices/1/style"];
    check_refused(&world, field(json!({ "type": "select", "choices": choices })), &places).await;
}

#[tokio::test]
async fn field_is_required_for_options_of_the_question() {
    let world = World::start().await;
    let options = json!([{ "value": "yes", "label": "Yes" }, { "value": "no", "label": "No" }]);
    let asked = |required: Value| {
        let field = json!({ "key": "k", "type": "text", "label": "L", "required": required });
        json!({ "title": "Go?", "options": options, "fields": [field] })
    };
    let request = world.create(asked(json!(["no"]))).await;
    assert_eq!(request["fields"][0]["required"], json!(["no"]));
    let refused = world.answer(&request, 0, json!({ "option": "no" })).await;
    assert_eq!(refused.json()["errors"][0]["detail"], "is required with this option");
    let taken = world.answer(&request, 0, json!({ "option": "yes" })).await;
    assert_eq!(taken.json()["status"], "finished");
    for (wrong, place) in [
        (json!(["maybe"]), "/fields/0/required/0"),
        (json!(["no", "no"]), "/fields/0/required/1"),
        (json!([null]), "/fields/0/required/0"),
    ] {
        check_refused(&world, asked(wrong), &[place]).await;
    }
}
