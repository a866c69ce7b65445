//! Laws of the body reader.

use serde_json::json;

use super::*;

fn errors_of(body: Value, of: impl FnOnce(&mut Object<'_>)) -> Vec<String> {
    let problem = read(body, |it| {
        of(it);
        Some(())
    });
    let errors = problem.err().map_or_else(Vec::new, |it| it.errors().as_slice().to_vec());
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn all_errors_are_collected_with_their_pointers() {
    let body = json!({
        "title": "", "count": 1.5, "flag": "yes", "a/b": 1, "at": "noon",
        "inner": { "word": "red", "more": 1 }, "list": [1, 2, 3], "tags": ["a", "b", "a", 7],
    });
    let errors = errors_of(body, |body| {
        assert_eq!(body.text("title", 1..=5), None);
        assert_eq!(body.integer("count", 1..=5), None);
        assert_eq!(body.flag("flag"), None);
        assert_eq!(body.time("at"), None);
        assert!(body.list("list", 0..=2).is_none());
        let tag = |it: &Value| it.as_str().map(str::to_owned).ok_or("is no tag".to_owned());
        let tags = body.distinct("tags", 1..=4, tag);
        assert_eq!(tags, Some(vec!["a".to_owned(), "b".to_owned()]));
        body.object("inner", |it| assert_eq!(it.word("word", &[("blue", 1)]), None));
        assert_eq!(body.required_line("name", 1..=5), None);
    });
    let expected = [
        "`/title` must not be empty",
        "`/count` must be a whole number from 1 to 5",
        "`/flag` must be true or false",
        "`/at` must be a time in RFC 3339, such as 2026-01-31T12:00:00Z",
        "`/list` must have at most 2 entries (got 3)",
        "`/tags/2` is duplicated",
        "`/tags/3` is no tag",
        "`/inner/word` must be one of blue",
        "`/inner/more` is not a known field",
        "`/name` is required",
        "`/a~1b` is not a known field",
    ];
    assert_eq!(errors, expected);
}

#[test]
fn a_whole_number_may_have_a_decimal_point() {
    let number = read(json!({ "n": 60.0 }), |it| it.integer("n", 1..=60));
    assert_eq!(number.ok(), Some(60));
}

#[test]
fn null_counts_as_absent() {
    let body = json!({ "name": null, "inner": null });
    let errors = errors_of(body, |body| {
        assert_eq!(body.required_text("name", 1..=5), None);
        assert_eq!(body.object("inner", |_| ()), None);
    });
    assert_eq!(errors, ["`/name` is required"]);
}

#[test]
fn lengths_say_the_limit_and_what_was_sent() {
    let body = json!({ "long": "abcdef", "short": "a", "none": [] });
    let errors = errors_of(body, |body| {
        body.text("long", 2..=5);
        body.text("short", 2..=5);
        body.list("none", 1..=5);
    });
    let expected = [
        "`/long` must be at most 5 characters (got 6)",
        "`/short` must be at least 2 characters (got 1)",
        "`/none` must not be empty",
    ];
    assert_eq!(errors, expected);
}
