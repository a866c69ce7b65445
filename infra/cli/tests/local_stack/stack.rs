//! The program as a child process, and those who talk with it.

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

/// Long enough for the slowest machine: a test that fails need not be fast.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often one looks again.
const LOOK: Duration = Duration::from_millis(50);

/// A running `answerback dev`. It is killed when dropped.
pub(crate) struct Stack {
    child: Child,
    pub(crate) base_url: String,
    pub(crate) api_key: String,
    /// What it printed when it was ready.
    pub(crate) ready: Value,
}

/// Somebody's server, which outlives every stack that calls it.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    status: Arc<AtomicU16>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

/// What a receiver answers, and how long it thinks before.
pub(crate) type Mood = (u16, Duration);

/// A callback as a receiver got it.
#[derive(Clone)]
pub(crate) struct Arrived {
    pub(crate) at: Timestamp,
    /// What it was answered with.
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

/// What a program printed.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8").trim_end()
}

/// Starts the program, and reads its stdout up to the first line that `is_last`.
pub(crate) fn spawn(arguments: &[&str], is_last: fn(&str) -> bool) -> (Child, String) {
    ready(&mut answerback(arguments), is_last)
}

/// Starts a program as [`spawn`] does.
pub(crate) fn ready(program: &mut Command, is_last: fn(&str) -> bool) -> (Child, String) {
    let mut child = program.stdout(Stdio::piped()).spawn().expect("it was built");
    let stdout = child.stdout.take().expect("it is piped");
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
    let text = receiver.recv_timeout(PATIENCE).expect("it gets ready");
    (child, text)
}

impl Stack {
    /// Starts over what `folder` holds, on free ports.
    pub(crate) fn start(folder: &Path, flags: &[&str]) -> Self {
        let folder = folder.to_str().expect("UTF-8");
        let arguments = [&["--json", "--port", "0", "--data-dir", folder], flags].concat();
        let (child, line) = spawn(&arguments, |_| true);
        Self::of(child, serde_json::from_str(&line).expect("one line of JSON"))
    }

    /// A stack that printed this.
    pub(crate) fn of(child: Child, ready: Value) -> Self {
        let text = |name: &str| ready[name].as_str().expect("a text").to_owned();
        Self { child, base_url: text("base_url"), api_key: text("api_key"), ready }
    }

    /// Ends it at once, with nothing saved or sent any more.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    /// Asks it to end as Ctrl-C does, and gives its exit code.
    pub(crate) async fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        run(Command::new("sh").args(["-c", "kill -INT $0", &pid]));
        until("the program ends", async || {
            self.child.try_wait().expect("it is ours").map(|it| it.code())
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

    /// Makes a request, and gives it as it was answered.
    pub(crate) async fn create(&self, body: Value) -> Value {
        let (status, request) = self.call(Method::POST, "/v1/requests", body).await;
        assert_eq!(status, StatusCode::CREATED, "{request}");
        request
    }

    /// What came to the built-in receiver, newest first.
    pub(crate) async fn inbox(&self) -> Vec<Value> {
        let url = format!("{}/inbox", self.base_url);
        let (_, all) = call(Method::GET, &url, &[("accept", "application/json")], "").await;
        all["data"].as_array().expect("a list").clone()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Receiver {
    /// Listens, and answers with `status`.
    pub(crate) async fn start(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let current = Arc::clone(&status);
        let mood = move || (current.load(Ordering::SeqCst), Duration::ZERO);
        Self { status, ..Self::moody(mood).await }
    }

    /// Listens, and asks `mood` at every callback.
    pub(crate) async fn moody(mood: impl Fn() -> Mood + Clone + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("it listens"));
        let receiver = Self { url, status: Arc::default(), arrived: Arc::new(Mutex::default()) };
        let this = receiver.clone();
        let router = Router::new().fallback(async move |method: Method, request: Request<Body>| {
            let (parts, body) = request.into_parts();
            let (status, thinking) = mood();
            // Who calls may be killed before it has said all.
            let body = to_bytes(body, 1_000_000).await.map_err(|_| StatusCode::BAD_REQUEST)?;
            if method == Method::POST {
                let arrived =
                    Arrived { at: Clock::System.now(), status, headers: parts.headers, body };
                this.arrived.lock().expect("no holder panics").push(arrived);
            }
            pause(thinking).await;
            Ok::<_, StatusCode>(StatusCode::from_u16(status).expect("a status"))
        });
        tokio::spawn(async { axum::serve(listener, router).await });
        receiver
    }

    /// Answers with `status` from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// How much came.
    pub(crate) fn n_arrived(&self) -> usize {
        self.arrived.lock().expect("no holder panics").len()
    }

    /// Everything that came, oldest first.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("no holder panics").clone()
    }
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }
}

/// Calls any URL. What is not JSON comes back as null.
pub(crate) async fn call(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> (StatusCode, Value) {
    try_call(method, url, headers, body).await.expect("an answer")
}

/// Calls like [`call`] somebody who may die meanwhile: then there is no answer, or no whole one.
pub(crate) async fn try_call(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<(StatusCode, Value)> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).expect("a valid request");
    let response = client.request(request).await.ok()?;
    let status = response.status();
    let body = to_bytes(Body::new(response.into_body()), 10_000_000).await.ok()?;
    Some((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// Looks again and again until there is something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        pause(LOOK).await;
    }
}

/// Lets real time pass: another process cannot be given a clock.
#[expect(clippy::disallowed_methods, reason = "another process cannot be given a clock")]
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
