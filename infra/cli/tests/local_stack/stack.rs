//! The program as a child process, its clients and its receivers.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use answerback::platform::Clock;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jiff::Timestamp;
use serde_json::Value;

/// Longest wait for a condition. It suffices for a slow machine.
const WAIT_MAX: Duration = Duration::from_mins(3);
/// Interval between checks of a condition.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// Time between loading a page and sending its form. A faster form needs the second step.
const READING_TIME: Duration = Duration::from_millis(2_100);

/// A running `answerback dev`. It is killed when dropped.
pub(crate) struct Stack {
    child: Child,
    pub(crate) base_url: String,
    pub(crate) api_key: String,
    /// The JSON that it printed when it was ready.
    pub(crate) ready: Value,
}

/// A receiver of callbacks. It outlives the stacks that call it.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    status: Arc<AtomicU16>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

/// A receiver's next response.
#[derive(Clone, Copy)]
pub(crate) struct Reaction {
    pub(crate) status: u16,
    /// The time before the response.
    pub(crate) delay: Duration,
}

/// A callback that arrived at a receiver.
#[derive(Clone)]
pub(crate) struct Arrived {
    pub(crate) at: Timestamp,
    /// The status of the response.
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The program with these arguments.
pub(crate) fn answerback(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_answerback"));
    command.args(arguments).env_remove("TABLE_NAME").env("RUST_LOG", "warn,dynoxide=error");
    command
}

/// Runs the program to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().expect("the program was built with this test")
}

/// Output of the program, as text.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8").trim_end()
}

/// Starts the program, and reads its stdout up to the first line that `is_last`.
pub(crate) fn spawn(arguments: &[&str], is_last: fn(&str) -> bool) -> (Child, String) {
    ready(&mut answerback(arguments), is_last)
}

/// Starts `program`, and reads its stdout up to the first line that `is_last`.
pub(crate) fn ready(program: &mut Command, is_last: fn(&str) -> bool) -> (Child, String) {
    let mut child =
        program.stdout(Stdio::piped()).spawn().expect("the program was built with this test");
    let stdout = child.stdout.take().expect("stdout is piped");
    let read = move |stdout: ChildStdout| {
        let mut text = String::new();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            text = text + &line + "\n";
            if is_last(&line) {
                break;
            }
        }
        text
    };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(read(stdout)));
    let Ok(text) = receiver.recv_timeout(WAIT_MAX) else {
        let _ = child.kill();
        panic!("the program did not get ready: {:?}", child.wait());
    };
    (child, text)
}

impl Stack {
    /// Starts on the data in `folder`, on free ports.
    pub(crate) fn start(folder: &Path, flags: &[&str]) -> Self {
        let folder = folder.to_str().expect("UTF-8");
        let arguments = [&["--json", "--port", "0", "--data-dir", folder], flags].concat();
        let (child, line) = spawn(&arguments, |_| true);
        Self::of(child, serde_json::from_str(&line).expect("one line of JSON"))
    }

    /// The stack of a running program that printed `ready`.
    pub(crate) fn of(child: Child, ready: Value) -> Self {
        let text = |name: &str| ready[name].as_str().expect("a text").to_owned();
        Self { child, base_url: text("base_url"), api_key: text("api_key"), ready }
    }

    /// Kills the program.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the program runs");
        self.child.wait().expect("it is our child process");
    }

    /// Stops the program as Ctrl-C does, and returns its exit code.
    pub(crate) async fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        run(Command::new("sh").args(["-c", "kill -INT $0", &pid]));
        until("the program ends", async || {
            self.child.try_wait().expect("it is our child process").map(|it| it.code())
        })
        .await
    }

    /// Calls the API with its key.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let key = format!("Bearer {}", self.api_key);
        let url = format!("{}{path}", self.base_url);
        call(method, &url, &[("authorization", &key)], body.to_string()).await
    }

    /// Creates a request.
    pub(crate) async fn create(&self, body: Value) -> Value {
        let (status, request) = self.call(Method::POST, "/v1/requests", body).await;
        assert_eq!(status, StatusCode::CREATED, "{request}");
        request
    }

    /// The callbacks in the inbox, newest first.
    pub(crate) async fn inbox(&self) -> Vec<Value> {
        let url = format!("{}/inbox", self.base_url);
        let (_, all) = call(Method::GET, &url, &[("accept", "application/json")], "").await;
        all["data"].as_array().expect("a list").clone()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The program may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Receiver {
    /// A receiver that responds with `status`.
    pub(crate) async fn start(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let current = Arc::clone(&status);
        let react =
            move || Reaction { status: current.load(Ordering::SeqCst), delay: Duration::ZERO };
        Self { status, ..Self::reacting(react).await }
    }

    /// A receiver that calls `react` for every callback.
    pub(crate) async fn reacting(
        react: impl Fn() -> Reaction + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("it listens"));
        let receiver = Self { url, status: Arc::default(), arrived: Arc::new(Mutex::default()) };
        let this = receiver.clone();
        let router = Router::new().fallback(async move |method: Method, request: Request<Body>| {
            let (parts, body) = request.into_parts();
            let Reaction { status, delay } = react();
            // The caller may be killed before it has sent the whole body.
            let body = to_bytes(body, 1_000_000).await.map_err(|_| StatusCode::BAD_REQUEST)?;
            if method == Method::POST {
                let arrived =
                    Arrived { at: Clock::System.now(), status, headers: parts.headers, body };
                this.arrived.lock().expect("no holder panics").push(arrived);
            }
            pause(delay).await;
            Ok::<_, StatusCode>(StatusCode::from_u16(status).expect("a status"))
        });
        tokio::spawn(async { axum::serve(listener, router).await });
        receiver
    }

    /// Responds with `status` from now on.
    pub(crate) fn set_status(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// The number of callbacks that arrived.
    pub(crate) fn n_arrived(&self) -> usize {
        self.arrived.lock().expect("no holder panics").len()
    }

    /// The callbacks that arrived, oldest first.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("no holder panics").clone()
    }
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }
}

/// Calls any URL. A body that is not JSON becomes null.
pub(crate) async fn call(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> (StatusCode, Value) {
    try_call(method, url, headers, body).await.expect("a response")
}

/// Calls like [`call`] a server that may die meanwhile. Returns `None` without a complete response.
pub(crate) async fn try_call(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<(StatusCode, Value)> {
    let (status, body) = fetch(method, url, headers, body).await?;
    Some((status, serde_json::from_slice(&body).unwrap_or_default()))
}

async fn fetch(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<(StatusCode, Bytes)> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).expect("a valid request");
    let response = client.request(request).await.ok()?;
    let status = response.status();
    let body = to_bytes(Body::new(response.into_body()), 10_000_000).await.ok()?;
    Some((status, body))
}

/// Answers on the page as a person does: opens it, reads it, and presses the button of `option`. Returns
/// the nonce of the page.
pub(crate) async fn answer_on_page(link: &str, option: &str) -> String {
    let (status, page) = fetch(Method::GET, link, &[], "").await.expect("a page");
    assert_eq!(status, StatusCode::OK);
    let nonce = press(link, &page, option).await;
    let Err(confirmation) = nonce else { return nonce.expect("it was recorded") };
    press(link, &confirmation, option).await.expect("the second step is recorded")
}

/// Reads a page and presses a button. Returns the nonce of the page if the answer was recorded, or else
/// the next page.
async fn press(link: &str, page: &[u8], option: &str) -> Result<String, Bytes> {
    let nonce = text(page).split_once("name=\"nonce\" value=\"").expect("a form").1;
    let nonce = nonce.split_once('"').expect("a value").0;
    pause(READING_TIME).await;
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let form = format!("option={option}&nonce={nonce}");
    let (status, next) = fetch(Method::POST, link, &headers, form).await.expect("a response");
    if status == StatusCode::SEE_OTHER { Ok(nonce.to_owned()) } else { Err(next) }
}

/// Waits until `check` returns something.
pub(crate) async fn until<T>(condition: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(began.elapsed() < WAIT_MAX, "waited in vain until {condition}");
        pause(CHECK_INTERVAL).await;
    }
}

/// Waits in real time: another process cannot share a test's clock.
#[expect(clippy::disallowed_methods, reason = "another process cannot share a test's clock")]
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
