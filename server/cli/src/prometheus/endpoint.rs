//! The answers on the address of the metrics, in HTTP/1.1.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use super::{page::Page, registry::Registry};
use crate::{generation::Generation, log::Log};

/// Connections at once. Further ones wait.
const MAX_CONNECTIONS: usize = 16;
/// The time of a connection: it is for one look.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether the program wants requests. A clone knows the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// A shutdown begins.
    pub(crate) fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the answers tell of.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) registry: Registry,
    pub(super) generation: watch::Receiver<Arc<Generation>>,
    pub(super) log: Log,
    pub(super) readiness: Readiness,
}

impl Endpoint {
    pub(super) async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let Ok((io, _)) = listener.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            let endpoint = self.clone();
            let service = service_fn(move |request| {
                let response = endpoint.answer(&request);
                async move { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(async move {
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).keep_alive(false);
                let serving = builder.serve_connection(TokioIo::new(io), service);
                // Who leaves early has no need of an answer.
                let _ = timeout(PATIENCE, serving).await;
                drop(place);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        let (status, text) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, self.page()),
            (&Method::GET | &Method::HEAD, "/healthz") => (StatusCode::OK, "alive\n".into()),
            (&Method::GET | &Method::HEAD, "/ready") if self.readiness.has_ended() => {
                (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".into())
            }
            (&Method::GET | &Method::HEAD, "/ready") => (StatusCode::OK, "ready\n".into()),
            (&Method::GET | &Method::HEAD, _) => (
                StatusCode::NOT_FOUND,
                "here are /metrics, /healthz and /ready\n".into(),
            ),
            _ => (StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n".into()),
        };
        let mut response = Response::new(text);
        *response.status_mut() = status;
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
        response
    }

    fn page(&self) -> String {
        let mut page = Page::of(&self.registry);
        let left_out = self.log.left_out_lines();
        page.add(
            "counter",
            "lacewingd_log_left_out_lines_total",
            &[],
            left_out,
        );
        let generation = Arc::clone(&self.generation.borrow());
        let states = generation.proxy().map(|proxy| proxy.states());
        let states = states.unwrap_or_default();
        for state in &states {
            let labels = [("route", &*state.route), ("upstream", &*state.upstream)];
            page.add(
                "gauge",
                "lacewingd_upstream_up",
                &labels,
                u8::from(state.is_up),
            );
        }
        for state in &states {
            let labels = [("route", &*state.route), ("upstream", &*state.upstream)];
            page.add(
                "gauge",
                "lacewingd_upstream_requests",
                &labels,
                state.requests,
            );
        }
        page.into_text()
    }
}
