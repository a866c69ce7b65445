//! Recipients on the answer page: people, and scanners that submit forms and press buttons.

use axum::http::{Method, StatusCode};
use serde_json::Value;

use crate::{
    caller::{Caller, Known},
    fleet::Http,
    seen::Want,
};

/// Option that only scanners choose.
pub(crate) const SCANNED: &str = "scanned";
/// Time that a person reads, in milliseconds.
const READING: i64 = 3_000;
/// Time that a person takes for the second step, in milliseconds.
const CONFIRMING: i64 = 2_000;
/// Pause before a person sends a form again, in milliseconds.
const PAUSE: i64 = 1_500;
/// Times that a person sends a form.
const TRIES_MAX: u32 = 6;
/// Least time from loading a page to its form, in milliseconds.
const READING_MIN: i64 = 2_000;
/// Least time from loading the second step to its form, in milliseconds.
const CONFIRMING_MIN: i64 = 1_000;
/// Wrong codes that lock a link.
const WRONG_CODES: u32 = 5;

/// The form of a page.
struct Form<'a> {
    row: usize,
    option: &'static str,
    nonce: &'a str,
    code: Option<&'a str>,
}

impl Caller {
    /// A person opens the page, reads, chooses, and confirms if the page asks for that.
    pub(crate) async fn answer_on_page(&self, known: &Known, row: usize, option: &'static str) {
        let want = Want::Form { row, option };
        let Some(mut nonce) = self.open(known, row).await else { return };
        let mut pause = READING;
        for _ in 0..TRIES_MAX {
            self.fleet.world.sleep(pause).await;
            let code = known.codes[row].as_deref();
            let form = Form { row, option, nonce: &nonce, code };
            pause = match self.send(known, &form, want.clone()).await {
                Some((StatusCode::OK, page)) => {
                    nonce = nonce_of(&page).unwrap_or(nonce);
                    CONFIRMING
                }
                Some((StatusCode::TOO_MANY_REQUESTS, page)) => {
                    nonce = nonce_of(&page).unwrap_or(nonce);
                    READING
                }
                Some((status, _)) if !status.is_server_error() => return,
                Some(_) | None => PAUSE,
            };
        }
    }

    /// A scanner presses buttons `haste` milliseconds after it loaded a page.
    pub(crate) async fn scan(&self, known: &Known, row: usize, haste: i64) {
        match known.assurance.as_str() {
            "confirm" => self.press_once(known, row).await,
            "code" => self.guess(known, row).await,
            _ => {
                self.hurry(known, row, haste).await;
                self.use_nonce_of_another(known, row).await;
            }
        }
    }

    /// Presses the button, and at once the button of the second step.
    async fn hurry(&self, known: &Known, row: usize, haste: i64) {
        let world = &self.fleet.world;
        let opened_at = world.now();
        let Some(nonce) = self.open(known, row).await else { return };
        world.sleep(haste).await;
        let sent_at = world.now();
        let form = Form { row, option: SCANNED, nonce: &nonce, code: None };
        let want = Want::Scan { row, until: opened_at + READING_MIN };
        let Some((StatusCode::OK, page)) = self.send(known, &form, want).await else { return };
        let Some(nonce) = nonce_of(&page) else { return };
        world.sleep(haste / 4).await;
        let form = Form { nonce: &nonce, ..form };
        self.send(known, &form, Want::Scan { row, until: sent_at + CONFIRMING_MIN }).await;
    }

    /// Sends the form of another recipient's page, which was loaded long ago.
    async fn use_nonce_of_another(&self, known: &Known, row: usize) {
        let other = (row + 1) % known.tokens.len();
        if other == row {
            return;
        }
        let Some(nonce) = self.open(known, other).await else { return };
        self.fleet.world.sleep(READING).await;
        let form = Form { row, option: SCANNED, nonce: &nonce, code: None };
        self.send(known, &form, Want::Scan { row, until: i64::MAX }).await;
    }

    /// Presses the buttons of the page, but not the one of the second step.
    async fn press_once(&self, known: &Known, row: usize) {
        let Some(nonce) = self.open(known, row).await else { return };
        self.fleet.world.sleep(READING).await;
        for _ in 0..2 {
            let form = Form { row, option: SCANNED, nonce: &nonce, code: None };
            self.send(known, &form, Want::Scan { row, until: i64::MAX }).await;
        }
    }

    /// Guesses codes until the link is locked, and then the right one.
    async fn guess(&self, known: &Known, row: usize) {
        let Some(nonce) = self.open(known, row).await else { return };
        self.fleet.world.sleep(READING).await;
        let right = known.codes[row].as_deref().unwrap_or_default();
        let want = Want::Scan { row, until: i64::MAX };
        for n in 1..=WRONG_CODES {
            let number: u32 = right.parse().unwrap_or_default();
            let wrong = format!("{:06}", (number + n) % 1_000_000);
            let form = Form { row, option: SCANNED, nonce: &nonce, code: Some(&wrong) };
            let sent = self.send(known, &form, want.clone()).await;
            let is_counted = |it: StatusCode| {
                it == StatusCode::UNPROCESSABLE_ENTITY || it == StatusCode::FORBIDDEN
            };
            if !sent.is_some_and(|(status, _)| is_counted(status)) {
                return;
            }
        }
        let form = Form { row, option: SCANNED, nonce: &nonce, code: Some(right) };
        self.send(known, &form, want).await;
    }

    /// Loads the page. Returns its nonce, if it has a form.
    async fn open(&self, known: &Known, row: usize) -> Option<String> {
        let path = format!("/a/{}", known.tokens[row]);
        let call = self.request(Method::GET, &path, None, None);
        let (_, page) = self.call(Http::Poll, call, Want::Open).await?;
        nonce_of(&page)
    }

    async fn send(
        &self,
        known: &Known,
        form: &Form<'_>,
        want: Want,
    ) -> Option<(StatusCode, Value)> {
        let path = format!("/a/{}", known.tokens[form.row]);
        let mut call = self.request(Method::POST, &path, None, None);
        let code = form.code.unwrap_or_default();
        call.body = format!("option={}&nonce={}&code={code}", form.option, form.nonce).into();
        self.call(Http::Intake, call, want).await
    }
}

fn nonce_of(page: &Value) -> Option<String> {
    let (_, rest) = page.as_str()?.split_once("name=\"nonce\" value=\"")?;
    rest.split_once('"').map(|(nonce, _)| nonce.to_owned())
}
