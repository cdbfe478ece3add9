//! The options of a client's connections.

use std::{sync::Arc, time::Duration};

use lacewing_conn::{
    Side, Version,
    driver::ConnectionConfig,
    proto::{Config, ConnectionStats, ServerPush},
};

use crate::{
    AlternativeService, Concurrency, PushPolicy, Security, SettingsKey, SettingsStore,
    alternative_services::OnAlternative, spdy_settings::Keeper, stats::OnStats,
};

/// The options of each connection, with or without a [`Client`](crate::Client).
///
/// ```
/// use lacewing_client::{Client, Concurrency};
///
/// let client = Client::builder()
///     .options(|options| options.concurrency(Concurrency::OpenAnother { max: 4 }).max_queued(100))
///     .build();
/// # let _ = client;
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a connection has them"]
pub struct ClientOptions {
    pub(crate) connection: ConnectionConfig,
    pub(crate) security: Security,
    pub(crate) max_queued: usize,
    pub(crate) concurrency: Concurrency,
    pub(crate) continue_timeout: Duration,
    pub(crate) push: Option<PushPolicy>,
    pub(crate) on_alternative: Option<OnAlternative>,
    pub(crate) on_stats: Option<OnStats>,
    pub(crate) keeper: Option<Keeper>,
}

impl ClientOptions {
    /// Configures the connections themselves: limits, header compression,
    /// window pool.
    pub fn connection(mut self, config: ConnectionConfig) -> Self {
        self.connection = config;
        self
    }

    /// Declares the transport as TLS or cleartext. This is the scheme of requests whose URI has
    /// none. Default: cleartext. A [`Client`](crate::Client) sets it by each origin's scheme.
    pub fn security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// Sets the number of requests that may wait on a connection while the server
    /// permits no further stream. One more fails with
    /// [`ClientError::QueueFull`](crate::ClientError::QueueFull), unless it is
    /// made through `tower_service::Service`, whose `poll_ready` waits. Default
    /// 1,024.
    pub fn max_queued(mut self, requests: usize) -> Self {
        self.max_queued = requests;
        self
    }

    /// Sets the policy for requests while the server permits no further stream.
    /// Default: [`Concurrency::Queue`].
    pub fn concurrency(mut self, concurrency: Concurrency) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets the time for which a body with `expect: 100-continue` waits for the server's
    /// answer (RFC 9110 §10.1.1). Then the client sends it without an answer. Default 1 s.
    pub fn continue_timeout(mut self, timeout: Duration) -> Self {
        self.continue_timeout = timeout;
        self
    }

    /// Sets the store for the settings that a SPDY server asks its client to keep (the drafts'
    /// §2.6.4), and the server that they belong to. Default: the client does not keep them. A
    /// [`Client`](crate::Client) sets it by its own
    /// [`settings_store`](crate::ClientBuilder::settings_store).
    pub fn settings_store(mut self, store: Arc<dyn SettingsStore>, key: SettingsKey) -> Self {
        self.keeper = Some(Keeper::new(store, key));
        self
    }

    /// Accepts pushes, within the bounds of the policy;
    /// [`Connection::pushes`](crate::Connection::pushes) returns them. Default:
    /// none are accepted.
    pub fn accept_push(mut self, policy: PushPolicy) -> Self {
        self.push = Some(policy);
        self
    }

    /// Calls `call` with each alternative service that a server names (RFC
    /// 7838), on the connection's task: it must not block.
    pub fn on_alternative_service(
        mut self,
        call: impl Fn(&AlternativeService) + Send + Sync + 'static,
    ) -> Self {
        self.on_alternative = Some(OnAlternative(Arc::new(call)));
        self
    }

    /// Calls `call` with a connection's statistics every `every`, and a final
    /// time when it closes; on the connection's task: it must not block.
    pub fn on_stats(
        mut self,
        every: Duration,
        call: impl Fn(&ConnectionStats) + Send + Sync + 'static,
    ) -> Self {
        let call = Arc::new(call);
        self.on_stats = Some(OnStats { every, call });
        self
    }

    /// The engine's configuration for a protocol.
    pub(crate) fn engine(&self, version: Version) -> Config {
        let mut engine = self.connection.engine(version, Side::Client);
        engine.scheme = self.security.uri_scheme();
        if let Some(keeper) = &self.keeper {
            engine.returned_settings = keeper.load();
        }
        if let Some(policy) = self.push {
            engine.push = ServerPush::Accept;
            engine.limits.max_pushed_streams = policy.max_streams;
        }
        engine
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connection: ConnectionConfig::new(Side::Client),
            security: Security::Cleartext,
            max_queued: 1024,
            concurrency: Concurrency::default(),
            continue_timeout: Duration::from_secs(1),
            push: None,
            on_alternative: None,
            on_stats: None,
            keeper: None,
        }
    }
}
