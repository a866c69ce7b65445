//! `GET /openapi.json`: caching and compression.

use std::io::Read as _;

use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use flate2::read::GzDecoder;
use system_tests::{Answer, World, contract::Contract};

async fn get(world: &World, headers: &[(&str, &str)]) -> Answer {
    world.send(Method::GET, "/openapi.json", headers, Bytes::new()).await
}

#[tokio::test]
async fn document_is_plain_json_unless_gzip_is_asked_for() {
    let world = World::start().await;
    let plain = get(&world, &[]).await;
    assert_eq!(plain.json(), *Contract::of_the_api().document());
    assert_eq!(plain.headers["content-type"], "application/json");
    assert_eq!(plain.headers.get("content-encoding"), None);
    let same = get(&world, &[("accept-encoding", "br, gzip;q=0")]).await;
    assert_eq!(same.bytes, plain.bytes);

    let gzip = get(&world, &[("accept-encoding", "gzip, deflate, br")]).await;
    assert_eq!(gzip.headers["content-encoding"], "gzip");
    assert_eq!(gzip.headers["content-type"], "application/json");
    assert!(gzip.bytes.len() * 4 < plain.bytes.len());
    let mut decoded = Vec::new();
    GzDecoder::new(&gzip.bytes[..]).read_to_end(&mut decoded).expect("gzip");
    assert_eq!(decoded, plain.bytes);
    for answer in [plain, gzip] {
        assert_eq!(answer.headers["cache-control"], "max-age=300");
        assert_eq!(answer.headers["vary"], "accept-encoding");
    }
}

#[tokio::test]
async fn client_with_the_current_document_gets_304() {
    let world = World::start().await;
    let mut etags = Vec::new();
    for encoding in ["identity", "gzip"] {
        let encoding = ("accept-encoding", encoding);
        let etag = get(&world, &[encoding]).await.headers["etag"].clone();
        let etag = etag.to_str().expect("text").to_owned();
        let current = get(&world, &[encoding, ("if-none-match", &etag)]).await;
        assert_eq!(current.status, StatusCode::NOT_MODIFIED);
        assert!(current.bytes.is_empty());
        assert_eq!(current.headers["etag"], etag);
        assert_eq!(current.headers["cache-control"], "max-age=300");
        assert_eq!(current.headers["vary"], "accept-encoding");
        let weak = format!("\"old\", W/{etag}");
        let current = get(&world, &[encoding, ("if-none-match", &weak)]).await;
        assert_eq!(current.status, StatusCode::NOT_MODIFIED);
        let changed = get(&world, &[encoding, ("if-none-match", "\"old\"")]).await;
        assert_eq!(changed.status, StatusCode::OK);
        etags.push(etag);
    }
    assert_ne!(etags[0], etags[1], "each encoding has its own");
}
