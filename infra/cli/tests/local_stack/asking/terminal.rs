//! Commands on a terminal, which `script` of util-linux provides.

use std::{
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::json;

use super::{
    answer,
    command::{Place, stack},
    failures::{ID, Scripted, hang_after, respond},
};
use crate::stack::until;

const PROGRAM: &str = env!("CARGO_BIN_EXE_answerback");
/// Interrupts the program on a terminal.
const CONTROL_C: &str = "\u{3}";
/// Clears the line that is replaced.
const CLEAR_LINE: &str = "\r\u{1b}[2K";

/// A command on a terminal.
struct OnTerminal {
    child: Child,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl OnTerminal {
    fn start(place: &Place, arguments: &str) -> Self {
        Self::start_shell(place, &format!("{PROGRAM} {arguments}"))
    }

    /// Starts a shell with these commands.
    fn start_shell(place: &Place, line: &str) -> Self {
        let settings = place.command(&[]);
        let mut command = Command::new("script");
        for (name, value) in settings.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(["-qfec", line, "/dev/null"]).env("TERM", "xterm");
        command.current_dir(place.home.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("util-linux is installed");
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut chunk = [0; 4_096];
            while let Ok(n_bytes @ 1..) = stdout.read(&mut chunk) {
                written.lock().expect("no holder panics").extend_from_slice(&chunk[..n_bytes]);
            }
        });
        Self { child, screen }
    }

    fn text(&self) -> String {
        let screen = self.screen.lock().expect("no holder panics");
        String::from_utf8_lossy(&screen).into_owned()
    }

    /// Waits until the terminal has shown this text.
    async fn shows(&self, text: &str) {
        until(text, async || self.text().contains(text).then_some(())).await;
    }

    fn type_line(&mut self, line: &str) {
        self.type_text(&format!("{line}\n"));
    }

    fn type_text(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin is piped");
        stdin.write_all(text.as_bytes()).expect("the terminal reads");
    }

    /// Waits for the end, and returns all that the terminal has shown.
    async fn end(&mut self, code: i32) -> String {
        let child = &mut self.child;
        let status =
            until("the command ends", async || child.try_wait().expect("it is our child process"))
                .await;
        assert_eq!(status.code(), Some(code), "{}", self.text());
        self.text()
    }
}

#[tokio::test]
async fn terminal_shows_a_line_that_is_replaced_and_the_links() {
    let stack = stack();
    let plain = ("NO_COLOR", "1".to_owned());
    for (colors, decision) in [(None, "\u{1b}[1mapprove\u{1b}[0m"), (Some(plain), "approve")] {
        let mut place = Place::of(&stack);
        place.environment.extend(colors);
        let mut asking = OnTerminal::start(&place, "ask 'Deploy?' --to ada@example.com --wait");
        asking.shows("0 of 1 answered").await;
        asking.shows("answer link for ada@example.com: http").await;
        let screen = asking.text();
        let id = screen.split("req_").nth(1).and_then(|it| it.split(' ').next());
        answer(&stack, &format!("req_{}", id.expect("an id")), "ada@example.com", "approve").await;
        let screen = asking.end(0).await;
        assert!(screen.contains(&format!("completed, decision: {decision}\r\n")), "{screen:?}");
        assert!(screen.contains("waiting for ada@example.com"), "{screen:?}");
        assert!(screen.ends_with(&format!("{CLEAR_LINE}approve\r\n")), "{screen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login_asks_for_address_and_key_and_shows_no_key() {
    let key = json!({ "id": "key_1", "name": null, "scopes": ["admin"], "livemode": true });
    let list = json!({ "data": [], "next_cursor": null });
    let server =
        Scripted::start(vec![respond("200 OK", "", &key), respond("200 OK", "", &list)]).await;
    let place = Place::empty();
    let mut login = OnTerminal::start(&place, "login --profile work");
    login.shows("Base URL of the API: ").await;
    login.type_line(&server.url);
    login.shows("API key (hidden): ").await;
    // The terminal stops its echo right after the prompt.
    crate::stack::pause(std::time::Duration::from_secs(2)).await;
    login.type_line("ab_live_typed");
    let screen = login.end(0).await;
    assert!(screen.contains("key key_1, live mode, with admin"), "{screen:?}");
    assert!(screen.contains("wrote profile `work`"), "{screen:?}");
    assert!(!screen.contains("ab_live_typed"), "{screen:?}");
    place.run(&["list"]).with_code(0);
    assert!(server.calls()[1].contains("authorization: Bearer ab_live_typed\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_login_restores_the_terminal() {
    let place = Place::empty();
    let login = format!("{PROGRAM} login --url http://127.0.0.1:9");
    let line = format!("trap : INT; {login}; code=$?; echo; stty -a; exit $code");
    let mut login = OnTerminal::start_shell(&place, &line);
    login.shows("API key (hidden): ").await;
    // The terminal stops its echo right after the prompt.
    crate::stack::pause(std::time::Duration::from_secs(2)).await;
    login.type_text("ab_live_typed");
    login.type_text(CONTROL_C);
    let screen = login.end(130).await;
    assert!(screen.contains(" echo ") && !screen.contains("-echo "), "{screen:?}");
    assert!(!screen.contains("ab_live_typed"), "{screen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn terminal_shows_which_request_is_waited_for() {
    let url = hang_after(Vec::new()).await;
    let place = Place::with(&url, "ab_live_x");
    let mut waiting = OnTerminal::start(&place, &format!("wait {ID} --wait-timeout 3s"));
    waiting.shows(&format!("waiting for {ID}")).await;
    let screen = waiting.end(124).await;
    assert!(!screen.contains("creating the request"), "{screen:?}");
}
