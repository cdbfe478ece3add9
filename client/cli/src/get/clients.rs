//! The clients of a run.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use http::{Method, Request, header};
use lacewing_client::{
    AbsoluteForm, Client, ClientError, ConnectionConfig, Initiator, Origin, PushPolicy, Security,
    Side,
};
use lacewing_conn::proto::Rule;

use super::{
    dials::{Dials, Observed},
    options::Get,
    waterfall::{Trace, Tracing},
};
use crate::{
    dialling::Http1,
    frame_log::Logging,
    proxy::{Environment, Proxies, ProxyError},
    status::Failure,
};

/// A client, and one for `http` origins that answer in HTTP/1.1.
pub(super) struct Clients {
    main: Client,
    fallback: Option<Client>,
    /// The origins for which the fallback is.
    in_http1: Mutex<HashSet<Origin>>,
    /// `main` speaks HTTP/1.1 alone.
    only_http1: bool,
    proxies: Proxies,
}

impl Clients {
    pub(super) fn new(get: &Get, dials: &Dials, trace: Option<&Trace>) -> Result<Self, Failure> {
        let protocols = &get.protocols;
        let http1 = match protocols.http1_1 {
            true => Http1::Only,
            false if get.dialling.uses_npn() => Http1::Never,
            false if protocols.protocol.is_some() || protocols.push => Http1::Never,
            false => Http1::Last,
        };
        let fallback = match http1 {
            Http1::Last if !protocols.h2c_upgrade => Some(client(get, dials, trace, Http1::Only)?),
            _ => None,
        };
        Ok(Self {
            main: client(get, dials, trace, http1)?,
            fallback,
            in_http1: Mutex::default(),
            only_http1: http1 == Http1::Only,
            proxies: get.dialling.proxies()?,
        })
    }

    /// The client for an origin, and whether that is the fallback.
    pub(super) fn of(&self, origin: &Origin) -> (&Client, bool) {
        let in_http1 = self.in_http1.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.fallback {
            Some(client) if in_http1.contains(origin) => (client, true),
            _ => (&self.main, false),
        }
    }

    /// Adds what a proxy needs that forwards a request, if there is one. `is_http1` is that of
    /// [`of`](Self::of).
    pub(super) fn address_proxy<B>(
        &self,
        origin: &Origin,
        is_http1: bool,
        request: &mut Request<B>,
    ) {
        if !(is_http1 || self.only_http1) || !self.proxies.forward(origin) {
            return;
        }
        request.extensions_mut().insert(AbsoluteForm);
        if let Some(authorization) = self.proxies.authorization(origin) {
            request
                .headers_mut()
                .insert(header::PROXY_AUTHORIZATION, authorization);
        }
    }

    /// Decides whether a request is sent again in HTTP/1.1, and uses that from now on.
    ///
    /// No server of HTTP/1.1 takes the first bytes of HTTP/2 for a request that it knows. It answers
    /// them, or closes; its answer may be lost with the connection. Then only a safe request is sent
    /// again.
    pub(super) fn fall_back(&self, origin: &Origin, method: &Method, error: &ClientError) -> bool {
        let in_cleartext = origin.security() == Security::Cleartext;
        let repeatable = match error.connection() {
            Some(cause) => {
                let answered = cause.rule() == Some(Rule::AnswerInHttp1);
                let closed = matches!(cause.initiator(), Initiator::Io | Initiator::Peer)
                    && cause.is_connection()
                    && cause.go_away_code().is_none();
                answered || closed && method.is_safe()
            }
            // Many proxies make tunnels for https alone.
            None => {
                ProxyError::of(error).is_some_and(ProxyError::is_refusal)
                    && self.proxies.forward(origin)
            }
        };
        if self.fallback.is_none() || !in_cleartext || !repeatable {
            return false;
        }
        let mut in_http1 = self.in_http1.lock().unwrap_or_else(PoisonError::into_inner);
        in_http1.insert(origin.clone())
    }
}

fn client(
    get: &Get,
    dials: &Dials,
    trace: Option<&Trace>,
    http1: Http1,
) -> Result<Client, Failure> {
    let connector =
        get.dialling
            .connector(get.protocols.protocol, http1, dials, Environment::Read)?;
    let connector = Observed::new(connector, dials);
    // One connection for each origin of the command line.
    let mut builder = Client::builder()
        .max_connections(get.urls.len())
        .connect_timeout(get.course.connect_timeout());
    let streams = &get.streams;
    let config = ConnectionConfig::new(Side::Client).with(|config| {
        config.limits.preface_timeout = get.course.connect_timeout();
        if let Some(window) = streams.window_size {
            config.limits.stream_window = window;
            config.limits.max_stream_window = window;
        }
        if let Some(window) = streams.connection_window_size {
            config.limits.connection_window = window;
            config.limits.max_connection_window = window;
        }
    });
    builder = builder.connection(config);
    if get.protocols.h2c_upgrade {
        builder = builder.h2c_upgrade();
    }
    if get.protocols.push {
        builder = builder.options(|options| options.accept_push(PushPolicy::default()));
    }
    let verbose = get.telling.verbose;
    let builder = match trace.map(|trace| Tracing::new(connector.clone(), trace, dials)) {
        Some(tracing) if verbose => builder.connector(Logging::new(tracing)),
        Some(tracing) => builder.connector(tracing),
        None if verbose => builder.connector(Logging::new(connector)),
        None => builder.connector(connector),
    };
    Ok(builder.build())
}
