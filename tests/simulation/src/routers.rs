//! The functions that serve HTTP. All processes in a thread share one router for each function, because
//! building it takes longer than most calls.

use std::{cell::RefCell, future::poll_fn, pin::pin};

use axum::{Router, body::Body, http::Request, response::Response};
use tower::ServiceExt as _;

thread_local! {
    static INTAKE: Router = intake::shared_router(|| match serving() {
        HttpApp::Intake(app) => app,
        HttpApp::Poll(_) => panic!("no intake serves"),
    });
    static POLL: Router = poll::shared_router(|| match serving() {
        HttpApp::Poll(app) => app,
        HttpApp::Intake(_) => panic!("no poll serves"),
    });
    /// The app of the process whose turn it is.
    static SERVING: RefCell<Option<HttpApp>> = const { RefCell::new(None) };
}

/// The app of a process that serves HTTP.
#[derive(Clone, Debug)]
pub(crate) enum HttpApp {
    Intake(intake::App),
    Poll(poll::App),
}

impl HttpApp {
    /// Responds to a request.
    pub(crate) async fn respond(self, request: Request<Body>) -> Response {
        let router = match self {
            Self::Intake(_) => INTAKE.with(Router::clone),
            Self::Poll(_) => POLL.with(Router::clone),
        };
        let mut response = pin!(router.oneshot(request));
        let mut app = Some(self);
        let response = poll_fn(|context| {
            SERVING.set(app.take());
            let polled = response.as_mut().poll(context);
            app = SERVING.take();
            polled
        });
        match response.await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn serving() -> HttpApp {
    SERVING.with_borrow(|it| it.clone().expect("a process serves"))
}
