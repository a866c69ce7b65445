//! A command that asks, as a child process with its own home.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use tempfile::TempDir;

use crate::stack::{Stack, answerback, run, until};

/// Longest wait for a line.
const LINE_TIMEOUT: Duration = Duration::from_mins(1);

/// A place to run commands in: an empty home, an empty folder, and settings for a server.
pub(crate) struct Place {
    pub(crate) home: TempDir,
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// A running command.
pub(crate) struct Asking {
    child: Child,
    lines: Receiver<String>,
    /// The lines on stderr so far.
    log: String,
}

/// The end of a command.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    /// Without any settings.
    pub(crate) fn empty() -> Self {
        Self { home: tempfile::tempdir().expect("a folder"), environment: Vec::new() }
    }

    /// With the address and a key of a server in the environment.
    pub(crate) fn with(url: &str, key: &str) -> Self {
        let environment =
            vec![("ANSWERBACK_URL", url.to_owned()), ("ANSWERBACK_API_KEY", key.to_owned())];
        Self { environment, ..Self::empty() }
    }

    /// With the address and the key of a local stack.
    pub(crate) fn of(stack: &Stack) -> Self {
        Self::with(&stack.base_url, &stack.api_key)
    }

    /// The program with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = answerback(arguments);
        for name in [
            "ANSWERBACK_URL",
            "ANSWERBACK_API_KEY",
            "ANSWERBACK_PROFILE",
            "XDG_CONFIG_HOME",
            "GITHUB_OUTPUT",
            "NO_COLOR",
            "CLICOLOR",
            "CLICOLOR_FORCE",
            "HTTPS_PROXY",
            "https_proxy",
            "NO_PROXY",
            "no_proxy",
            "SSL_CERT_FILE",
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
            "CLAUDE_CONFIG_DIR",
            "CODEX_HOME",
        ] {
            command.env_remove(name);
        }
        command.env("HOME", self.home.path()).current_dir(self.home.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a command.
    pub(crate) fn start(&self, arguments: &[&str]) -> Asking {
        Asking::start(&mut self.command(arguments))
    }

    /// Starts a command with `input` on stdin.
    pub(crate) fn start_with(&self, arguments: &[&str], input: &str) -> Asking {
        Asking::start_with(&mut self.command(arguments), input)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(run(self.command(arguments).stdin(Stdio::null())))
    }

    /// Runs a command to its end, with `input` on stdin.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built with this test");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(input.as_bytes()).expect("the program reads its input");
        drop(stdin);
        Ended::of(child.wait_with_output().expect("it is our child process"))
    }

    /// Writes a file in the folder, and returns its name.
    pub(crate) fn file(&self, name: &'static str, content: &str) -> &'static str {
        std::fs::write(self.home.path().join(name), content).expect("the folder exists");
        name
    }
}

impl Ended {
    fn of(output: std::process::Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Self { code: output.status.code(), stdout, stderr }
    }

    /// Checks the exit code.
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

impl Asking {
    /// Starts a command.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::spawn(command.stdin(Stdio::null()))
    }

    /// Starts a command with `input` on stdin.
    pub(crate) fn start_with(command: &mut Command, input: &str) -> Self {
        let mut asking = Self::spawn(command.stdin(Stdio::piped()));
        let mut stdin = asking.child.stdin.take().expect("stdin is piped");
        stdin.write_all(input.as_bytes()).expect("the program reads its input");
        asking
    }

    fn spawn(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built with this test");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { child, lines, log: String::new() }
    }

    /// The first line on stderr that has this text.
    pub(crate) fn line(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LINE_TIMEOUT);
            let line = line.unwrap_or_else(|_| panic!("no line with `{text}` in\n{}", self.log));
            self.log.extend([&line, "\n"]);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The id of the request, once it is known.
    pub(crate) fn id(&mut self) -> String {
        self.line("req_").split(' ').next().expect("never empty").to_owned()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        run(Command::new("sh").args(["-c", &format!("kill -{name} $0"), &pid]));
    }

    /// Waits for the end.
    pub(crate) async fn end(mut self) -> Ended {
        let status = until("the command ends", async || {
            self.child.try_wait().expect("it is our child process")
        })
        .await;
        let mut stdout = String::new();
        let piped = self.child.stdout.as_mut().expect("stdout is piped");
        piped.read_to_string(&mut stdout).expect("UTF-8");
        while let Ok(line) = self.lines.recv_timeout(LINE_TIMEOUT) {
            self.log.extend([&line, "\n"]);
        }
        Ended { code: status.code(), stdout, stderr: std::mem::take(&mut self.log) }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        // The command may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a local stack on a free port, without data on disk.
pub(crate) fn stack() -> Stack {
    let flags = ["--memory", "--port", "0", "--json", "--sweep-interval", "1s"];
    let (child, line) = crate::stack::spawn(&flags, |_| true);
    Stack::of(child, serde_json::from_str(&line).expect("one line of JSON"))
}

/// Starts a local stack on the data in `folder` and on this port.
pub(crate) fn stack_on(folder: &Path, port: &str) -> Stack {
    let folder = folder.to_str().expect("UTF-8");
    let flags = ["--data-dir", folder, "--port", port, "--json", "--sweep-interval", "1s"];
    let (child, line) = crate::stack::spawn(&flags, |_| true);
    Stack::of(child, serde_json::from_str(&line).expect("one line of JSON"))
}
