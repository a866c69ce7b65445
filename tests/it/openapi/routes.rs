//! The document, the routers and the template name the same routes.
//!
//! The routes are read from text: from the `.route("…", get(…).post(…))` of the two functions that
//! answer HTTP, and from the `HttpApi` events of `template.yaml`. A route
//! that the scanners cannot read fails the test.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use system_tests::contract::Contract;

use super::{METHODS, operations};

/// `GET /v1/health` and the like.
type Routes = BTreeSet<String>;

#[test]
fn the_document_and_the_routers_have_the_same_routes() -> anyhow::Result<()> {
    let mut in_code = Routes::new();
    for function in ["intake", "poll"] {
        for file in rust_files(&root().join("functions").join(function).join("src"))? {
            let source = fs::read_to_string(&file)?;
            let found = routes_in_code(&source).with_context(|| file.display().to_string())?;
            in_code.extend(found);
        }
    }
    let (heads, documented): (Routes, Routes) =
        routes_in_document(Contract::of_the_api()).into_iter().partition(|it| is_head(it));
    assert_same("the code", &in_code, &documented);
    for head in heads {
        // axum answers HEAD wherever it answers GET.
        assert!(in_code.contains(&head.replace("HEAD", "GET")), "{head} has no GET");
    }
    Ok(())
}

#[test]
fn the_document_and_the_template_have_the_same_routes() -> anyhow::Result<()> {
    let template = fs::read_to_string(root().join("template.yaml"))?;
    let documented = routes_in_document(Contract::of_the_api());
    assert_same("the template", &routes_in_template(&template)?, &documented);
    Ok(())
}

fn assert_same(place: &str, found: &Routes, documented: &Routes) {
    let undocumented: Vec<_> = found.difference(documented).collect();
    let missing: Vec<_> = documented.difference(found).collect();
    let same = undocumented.is_empty() && missing.is_empty();
    assert!(
        same,
        "{place} has {undocumented:?} in addition to the document, and lacks {missing:?}"
    );
}

fn routes_in_document(contract: &Contract) -> Routes {
    operations(contract).into_iter().map(|(route, _)| route).collect()
}

/// Reads `.route("/path", get(…).post(…))` wherever it is in the part of a file that ships.
fn routes_in_code(source: &str) -> anyhow::Result<Routes> {
    let shipped = source.split("#[cfg(test)]").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let code = shipped.lines().filter(is_code).collect::<Vec<_>>().join("\n");
    for unreadable in [".nest(", ".route_service(", ".nest_service("] {
        ensure!(!code.contains(unreadable), "`{unreadable}…)` hides routes from this test");
    }
    let mut routes = Routes::new();
    for call in code.split(".route(").skip(1) {
        let (path, mut rest) = call
            .trim_start()
            .strip_prefix('"')
            .and_then(|it| it.split_once('"'))
            .context("a route's path is not a literal")?;
        rest = rest.trim_start_matches(|it: char| it == ',' || it.is_whitespace());
        loop {
            let (name, arguments) = rest.split_once('(').context("a route has no method")?;
            let method = name.rsplit("::").next().unwrap_or_default().trim();
            if METHODS.contains(&method) {
                routes.insert(format!("{} {path}", method.to_uppercase()));
            } else {
                let is_neutral = ["layer", "route_layer", "with_state"].contains(&method);
                ensure!(is_neutral, "`{method}` of {path} is not a method that this test knows");
            }
            rest = after_closing(arguments).with_context(|| format!("{path} is not closed"))?;
            match rest.trim_start().strip_prefix('.') {
                Some(next) => rest = next,
                None => break,
            }
        }
        let end = rest.trim_start_matches(|it: char| it == ',' || it.is_whitespace());
        ensure!(end.starts_with(')'), "{path} has more than this test can read");
    }
    Ok(routes)
}

/// The text after the parenthesis that closes one opened just before `text`.
fn after_closing(text: &str) -> Option<&str> {
    let mut depth = 1;
    for (index, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(index + 1..);
        }
    }
    None
}

/// Reads the `HttpApi` events. One without a path is the default, and is no route.
fn routes_in_template(template: &str) -> anyhow::Result<Routes> {
    let lines: Vec<&str> =
        template.lines().filter(|it| !it.trim_start().starts_with('#')).collect();
    let mut routes = Routes::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((_, event)) = line.split_once("Type: HttpApi") else { continue };
        let block = lines[index + 1..]
            .iter()
            .take_while(|it| !line.contains('{') && indentation(it) >= indentation(line));
        let event = block.fold(event.to_owned(), |event, line| event + "\n" + line);
        match (value_of("Method", &event), value_of("Path", &event)) {
            (Some(method), Some(path)) => {
                let method = method.to_ascii_lowercase();
                ensure!(METHODS.contains(&method.as_str()), "{path} is routed by {method}");
                routes.insert(format!("{} {path}", method.to_uppercase()));
            }
            (None, None) => {}
            half => bail!("an event has only half a route: {half:?}"),
        }
    }
    Ok(routes)
}

fn value_of<'a>(key: &str, event: &'a str) -> Option<&'a str> {
    let (_, rest) = event.split_once(&format!("{key}: "))?;
    let value = match rest.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next(),
        None => rest.split([',', '}', '\n', ' ']).next(),
    };
    value.filter(|it| !it.is_empty())
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_head(route: &str) -> bool {
    route.starts_with("HEAD ")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the workspace")
}

fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

#[test]
fn code_scanner_reads_routers_and_refuses_other_syntax() {
    let code = r#"
        // Router::new().route("/commented/out", get(nothing))
        pub fn router(app: App) -> Router {
            Router::new()
                .route("/v1/things", get(list).post(create))
                .route(
                    "/v1/things/{id}",
                    routing::get(|| async { (show)() }).delete(erase).layer(limit(1)),
                )
                .with_state(app)
        }
        #[cfg(test)]
        mod tests { fn router() { Router::new().route("/test", get(nothing)); } }
    "#;
    let expected =
        ["DELETE /v1/things/{id}", "GET /v1/things", "GET /v1/things/{id}", "POST /v1/things"];
    assert_eq!(routes_in_code(code).expect("readable"), Routes::from(expected.map(Into::into)));
    for unreadable in [
        ".route(PATH, get(list))",
        r#".route("/v1/things", any(list))"#,
        r#".route("/v1/things", things())"#,
        r#".route("/v1/things", get(list)"#,
        r#".nest("/v1", things)"#,
        r#".route_service("/v1/things", things)"#,
    ] {
        assert!(routes_in_code(unreadable).is_err(), "{unreadable}");
    }
}

#[test]
fn template_scanner_reads_both_styles_and_refuses_half_a_route() {
    let template = "
        Health: {Type: HttpApi, Properties: {ApiId: !Ref HttpApi, Method: GET, Path: /v1/health}}
        Show:
          Type: HttpApi
          Properties:
            # Method: PUT
            Path: '/v1/things/{id}'
            Method: get
        Everything: {Type: HttpApi, Properties: {ApiId: !Ref HttpApi}}
        Tick: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 minute)}}
        HttpApi:
          Type: AWS::Serverless::HttpApi
          Properties: {Path: /not-an-event}
    ";
    let expected = ["GET /v1/health", "GET /v1/things/{id}"];
    assert_eq!(
        routes_in_template(template).expect("readable"),
        Routes::from(expected.map(Into::into))
    );
    for unreadable in
        ["{Type: HttpApi, Properties: {Path: /a}}", "{Type: HttpApi, Method: ANY, Path: /a}"]
    {
        assert!(routes_in_template(unreadable).is_err(), "{unreadable}");
    }
}
