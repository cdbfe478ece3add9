//! The gateway's side of the handshake: who may become an upstream.

use std::time::Duration;

use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{AUTHORIZATION, CONNECTION, UPGRADE, WWW_AUTHENTICATE},
};
use http_body::Body as _;
use hyper_util::rt::TokioIo;
use lacewing_server::RequestBody;
use tokio::time::timeout;
use tracing::warn;

use super::{
    handshake::{ReverseProtocol, names_a_tunnel},
    token::Presented,
    tunnels::Tunnels,
};
use crate::{
    complaints::Complaints,
    site::{body::Content, status_page},
};

/// Time for the transport, after the response with 101.
const HANDOVER: Duration = Duration::from_secs(10);

/// Bytes of a path that a warning shows.
const SHOWN_PATH: usize = 100;

static COMPLAINTS: Complaints = Complaints::new();

/// Returns whether a request is that of a dialler. Where no tunnel is open, none is.
pub(crate) fn is_asked(tunnels: &Tunnels, request: &Request<RequestBody>) -> bool {
    request.version() == Version::HTTP_11 && names_a_tunnel(request.headers()) && tunnels.are_open()
}

/// Answers a dialler. After a 101, its connection belongs to the tunnel.
pub(crate) fn answer(tunnels: &Tunnels, mut request: Request<RequestBody>) -> Response<Content> {
    let info = request.body().connection();
    let peer = info.and_then(|info| info.peer_addr());
    let from = peer.map_or_else(|| "a Unix socket".to_owned(), |peer| peer.to_string());
    let refuse = |status: StatusCode, why: &str| {
        if COMPLAINTS.are_due() {
            let shown: String = request.uri().path().chars().take(SHOWN_PATH).collect();
            let shown = shown.escape_debug();
            warn!("a dialler at {from} is refused with {status} for {shown}: {why}");
        }
        let mut response = status_page(status);
        if status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer realm=\"lacewing-tunnel\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        }
        response
    };
    let fields = request.headers();
    let connects = fields.get_all(CONNECTION).iter().any(|value| {
        let tokens = value.as_bytes().split(|byte| *byte == b',');
        tokens
            .map(<[u8]>::trim_ascii)
            .any(|token| token.eq_ignore_ascii_case(b"upgrade"))
    });
    if *request.method() != Method::GET || !connects || !request.body().is_end_stream() {
        let why = "a tunnel is asked for by GET, with `connection: upgrade` and no content";
        return refuse(StatusCode::BAD_REQUEST, why);
    }
    let Some(protocol) = ReverseProtocol::of(fields) else {
        let why = "this gateway does not know the protocol of the tunnel";
        return refuse(StatusCode::BAD_REQUEST, why);
    };
    let mut credentials = fields.get_all(AUTHORIZATION).iter();
    let presented = match (credentials.next(), credentials.next()) {
        (Some(value), None) => Presented::of(value),
        _ => None,
    };
    let Some(presented) = presented else {
        return refuse(StatusCode::UNAUTHORIZED, "it presents no bearer token");
    };
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    let (permit, config) = match tunnels.admit(name, &presented) {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse(refusal.status(), refusal.why()),
    };
    let on = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match timeout(HANDOVER, on).await {
            Ok(Ok(io)) => {
                let version = protocol.version();
                permit.serve(TokioIo::new(io), &from, version, config).await;
            }
            Ok(Err(why)) => warn!("a dialler at {from} left before its tunnel began: {why}"),
            Err(_) => warn!("a dialler at {from} did not take the 101 within {HANDOVER:?}"),
        }
    });
    let mut response = Response::new(Content::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, protocol.upgrade());
    response
}
