//! Names in calls: API keys, identifiers, tokens, cursors and queries.

use super::*;
use crate::requests::{asking, faults};

/// An edit that replaces some characters of a name.
fn edits() -> impl Strategy<Value = (Index, usize, String)> {
    (any::<Index>(), 0_usize..3, "[A-Za-z0-9_.~-]{0,2}")
}

/// The edited name, if it differs.
fn altered(name: &str, (at, n_gone, with): (Index, usize, String)) -> Option<String> {
    let at = at.index(name.len() + 1);
    let end = (at + n_gone).min(name.len());
    let other = format!("{}{with}{}", &name[..at], &name[end..]);
    (other != name && !other.is_empty()).then_some(other)
}

#[test]
fn altered_answer_link_is_not_found() {
    run(48, &edits(), async |world, edit| {
        let request = world.create(everything()).await;
        let whole = token(&request, 0);
        let Some(token) = altered(&whole, edit) else { return Ok(()) };
        // The end of a sentence may follow a link.
        if token.trim_end_matches('.') == whole {
            return Ok(());
        }
        for (method, path) in [
            (Method::GET, format!("/a/{token}")),
            (Method::POST, format!("/a/{token}")),
            (Method::GET, format!("/v1/answers/{token}")),
        ] {
            let answer = world.visit(method, &path, "option=yes").await;
            prop_assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", path);
        }
        let body = Bytes::from(full_answer().to_string());
        let answer = world.send(Method::POST, &format!("/v1/answers/{token}"), &[], body).await;
        prop_assert_eq!(answer.status, StatusCode::NOT_FOUND);
        Ok(())
    });
}

#[test]
fn altered_api_key_is_refused() {
    run(48, &(edits(), "[ -~]{0,60}"), async |world, (edit, other)| {
        let keys = [altered(&world.key, edit), Some(other)];
        for key in keys.into_iter().flatten() {
            let bearer = format!("Bearer {key}");
            for header in [("authorization", bearer.as_str()), ("x-api-key", key.as_str())] {
                let answer = world.send(Method::GET, "/v1/requests", &[header], Bytes::new()).await;
                prop_assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", key);
                let body = Bytes::from(everything().to_string());
                let answer = world.send(Method::POST, "/v1/requests", &[header], body).await;
                prop_assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", key);
            }
        }
        Ok(())
    });
}

#[test]
fn altered_identifier_is_not_found() {
    run(32, &(edits(), "[!$&-.0-9:;=@A-Z_a-z~]{1,40}"), async |world, (edit, other)| {
        let request = world.create(everything()).await;
        let id = request["id"].as_str().expect("an id");
        // Segments of dots are steps in a path (RFC 3986, section 5.2.4), and so never an
        // identifier.
        let other = Some(other).filter(|it| ![".", ".."].contains(&it.as_str()));
        for id in [altered(id, edit), other].into_iter().flatten() {
            for (method, path, body) in [
                (Method::GET, format!("/v1/requests/{id}"), Value::Null),
                (Method::GET, format!("/v1/requests/{id}/result"), Value::Null),
                (Method::POST, format!("/v1/requests/{id}/cancel"), Value::Null),
                (Method::POST, format!("/v1/requests/{id}/responses"), full_answer()),
                (Method::DELETE, format!("/v1/requests/{id}"), Value::Null),
                (Method::GET, format!("/v1/deliveries/{id}"), Value::Null),
                (Method::GET, format!("/v1/attempts/{id}"), Value::Null),
                (Method::POST, format!("/v1/deliveries/{id}/redeliver"), Value::Null),
            ] {
                let answer = world.call(method, &path, body).await;
                prop_assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", path);
            }
        }
        Ok(())
    });
}

/// An accepted key finds its request again; a refused key never does.
#[test]
fn idempotency_key_identifies_one_request() {
    let keys = prop_oneof![4 => "[ -~]{0,3}", 1 => "[a-z]{250,260}", 1 => "[a-z]{1,3}"];
    run(48, &(keys.clone(), keys), async |world, (key, other)| {
        // HTTP removes the space around a value.
        let [key, other] = [key, other].map(|it| it.trim().to_owned());
        let is_good = |it: &str| (1..=255).contains(&it.len());
        let mut ids = Vec::new();
        for key in [&key, &key, &other] {
            let headers = [("idempotency-key", key.as_str())];
            let answer =
                world.call_with(Method::POST, "/v1/requests", &headers, everything()).await;
            prop_assert_eq!(
                answer.status == StatusCode::CREATED,
                is_good(key),
                "{}",
                answer.text()
            );
            if !is_good(key) {
                let [fault] = &faults(&answer)[..] else { panic!("one fault") };
                prop_assert_eq!(fault, "Idempotency-Key");
                continue;
            }
            ids.push((key, answer.json()["id"].clone()));
        }
        for (left, right) in ids.iter().zip(ids.iter().skip(1)) {
            prop_assert_eq!(left.0 == right.0, left.1 == right.1, "{:?} {:?}", left, right);
        }
        Ok(())
    });
}

#[test]
fn list_returns_a_page_or_names_the_invalid_parameter() {
    let name = select(vec![
        "limit",
        "cursor",
        "status",
        "external_reference_id",
        "request_id",
        "event_id",
        "a",
    ]);
    let value = prop_oneof![
        "[0-9]{0,3}|%[0-9a-f]{2}|%|\\+|[A-Za-z0-9_-]{0,12}",
        "pending|succeeded|(req|evt)_[0-7][0-9a-z]{25}",
    ];
    let query = prop::collection::vec((name, value), 0..4);
    run(32, &(query, edits()), async |world, (query, edit)| {
        let request =
            world.create(asking(json!({ "callback_url": "https://hooks.example.com/" }))).await;
        world.answer(&request, 0, json!({ "option": "yes" })).await;
        world.follow_hints().await;
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        for list in ["/v1/requests", "/v1/deliveries"] {
            let page =
                world.call(Method::GET, &format!("{list}?limit=1"), Value::Null).await.json();
            let cursor = page["next_cursor"].as_str().and_then(|it| altered(it, edit.clone()));
            let cursor = cursor.map(|it| format!("cursor={it}"));
            for query in [Some(query.join("&")), cursor].into_iter().flatten() {
                let answer = world.call(Method::GET, &format!("{list}?{query}"), Value::Null).await;
                if answer.status == StatusCode::OK {
                    prop_assert!(answer.json()["data"].is_array());
                    continue;
                }
                for name in faults(&answer) {
                    prop_assert!(query.contains(&format!("{name}=")), "{} of {}", name, query);
                }
            }
        }
        Ok(())
    });
}
