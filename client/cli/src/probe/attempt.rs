//! One attempt to speak a protocol with the server.

use std::time::{Duration, Instant};

use http::{Request, Response};
use lacewing_client::{Client, ClientOptions, Connect as _, Connection, Incoming, Origin, Version};
use serde::Serialize;
use tokio::time::timeout;

use super::{
    Probe,
    recorder::{Frames, Recorder},
};
use crate::{
    dialling::Http1, get::dials::Dials, proxy::Environment, status::Failure, watched::Watched,
};

/// What the server did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Finding {
    pub(super) protocol: String,
    /// The way to the protocol: ALPN, prior knowledge, or Upgrade.
    pub(super) by: &'static str,
    pub(super) works: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connect_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ping_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<String>,
    /// The server's first SETTINGS, a string each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) settings: Vec<String>,
    /// WebSockets over HTTP/2 (RFC 8441).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extended_connect: Option<bool>,
    /// The server's GOAWAY frames.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) goaway: Vec<String>,
}

impl Finding {
    fn new(protocol: impl Into<String>, by: &'static str) -> Self {
        Self {
            protocol: protocol.into(),
            by,
            ..Self::default()
        }
    }

    fn failed(mut self, error: impl std::fmt::Display) -> Self {
        self.error = Some(error.to_string());
        self
    }

    fn answered(mut self, response: &Response<Incoming>) -> Self {
        self.works = true;
        self.status = Some(response.status().as_u16());
        let server = response.headers().get(http::header::SERVER);
        self.server = server.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        self
    }
}

/// Speaks one of the multiplexed protocols.
pub(super) async fn multiplexed(
    probe: &Probe,
    origin: &Origin,
    version: Version,
) -> Result<Finding, Failure> {
    let by = match probe.is_https() {
        true => "ALPN",
        false => "prior knowledge",
    };
    let mut finding = Finding::new(version.alpn(), by);
    let connector = probe.dialling.multiplexed(Some(version))?;
    let started = Instant::now();
    let connected = match timeout(probe.timeout, connector.connect(origin)).await {
        Ok(Ok(connected)) => connected,
        Ok(Err(error)) => return Ok(finding.failed(error)),
        Err(_) => return Ok(finding.failed(no_answer(probe.timeout))),
    };
    finding.connect_ms = Some(milliseconds(started.elapsed()));
    let frames = Frames::default();
    let watched = Watched::new(connected.io, Recorder::new(version, &frames));
    let (connection, driver) = Connection::handshake(watched, version, ClientOptions::default());
    let driver = tokio::spawn(driver);
    let answered = timeout(probe.timeout, connection.request(request(probe)?)).await;
    let mut finding = match answered {
        Ok(Ok(response)) => finding.answered(&response),
        Ok(Err(error)) => finding.failed(error),
        Err(_) => finding.failed(no_answer(probe.timeout)),
    };
    if finding.works {
        let ping = connection.ping(probe.timeout).await;
        finding.ping_ms = ping.ok().map(milliseconds);
    }
    connection.shutdown();
    drop(connection);
    // A server that does not close is left.
    let _ = timeout(Duration::from_secs(1), driver).await;
    finding.settings = frames
        .details("SETTINGS")
        .into_iter()
        .next()
        .unwrap_or_default();
    if version == Version::Http2 && finding.works {
        let enables = |line: &String| line.ends_with("ENABLE_CONNECT_PROTOCOL = 1");
        finding.extended_connect = Some(finding.settings.iter().any(enables));
    }
    finding.goaway = frames.details("GOAWAY").into_iter().flatten().collect();
    Ok(finding)
}

/// Asks a cleartext server to switch from HTTP/1.1 to HTTP/2 (RFC 7540 §3.2).
pub(super) async fn upgraded(probe: &Probe) -> Result<Finding, Failure> {
    let dials = Dials::default();
    let connector = probe
        .dialling
        .connector(None, Http1::Never, &dials, Environment::Ignored)?;
    let client = Client::builder().h2c_upgrade().connector(connector).build();
    let finding = Finding::new("h2c", "Upgrade");
    by_client(probe, &client, finding).await
}

/// Speaks HTTP/1.1.
pub(super) async fn http1(probe: &Probe) -> Result<Finding, Failure> {
    let dials = Dials::default();
    let connector = probe
        .dialling
        .connector(None, Http1::Only, &dials, Environment::Ignored)?;
    let client = Client::builder().connector(connector).build();
    let by = match probe.is_https() {
        true => "ALPN",
        false => "cleartext",
    };
    by_client(probe, &client, Finding::new("http/1.1", by)).await
}

async fn by_client(probe: &Probe, client: &Client, finding: Finding) -> Result<Finding, Failure> {
    let answered = timeout(probe.timeout, client.request(request(probe)?)).await;
    Ok(match answered {
        Ok(Ok(response)) => finding.answered(&response),
        Ok(Err(error)) => finding.failed(error),
        Err(_) => finding.failed(no_answer(probe.timeout)),
    })
}

fn request(probe: &Probe) -> Result<Request<String>, Failure> {
    let request = Request::get(probe.url.clone());
    request
        .body(String::new())
        .map_err(|error| Failure::usage(error.to_string()))
}

fn no_answer(after: Duration) -> String {
    format!("no answer within {after:?}")
}

fn milliseconds(time: Duration) -> f64 {
    // Microseconds are enough.
    (time.as_secs_f64() * 1e6).round() / 1e3
}
