//! What answers requests: the site and the proxy of one reading of the options. A reload puts a new
//! generation in its place; requests of the old one end in their own time.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use lacewing_server::{MemoryBudget, RequestBody};
use tokio::{sync::watch, task::JoinSet};
use tower_service::Service;

use crate::{
    proxy::{Front, Fronted, Proxy, Reply},
    reverse::Tunnels,
    settings::Served,
    site::{Names, Site},
};

/// The site and the proxy.
pub(crate) struct Generation {
    front: Front,
    /// The health checks, which end with the generation.
    _checks: JoinSet<()>,
}

impl Generation {
    /// Starts to serve. Upstreams that the generation before has too keep their connections.
    pub(crate) fn start(
        served: &Served,
        names: &Names,
        memory: &MemoryBudget,
        tunnels: &Tunnels,
        before: Option<&Self>,
    ) -> Result<Self, String> {
        let mut checks = JoinSet::new();
        let rules = &served.policy.rules;
        let proxy = served.proxy.clone().map(|settings| {
            let before = before.and_then(Self::proxy);
            Proxy::new(
                settings,
                rules.clone(),
                names.clone(),
                memory,
                tunnels,
                before,
            )
        });
        let proxy = proxy.transpose()?;
        let site = served.root.as_deref().map(|root| {
            let policy = served.policy.clone();
            Site::new(root, policy, names.clone())
        });
        if let Some(proxy) = proxy.clone() {
            checks.spawn(proxy.check_health());
        }
        if let Some(site) = &site {
            // Responses may outlive the generation.
            tokio::spawn(site.maintain_handles(memory.alarm()));
        }
        Ok(Self {
            front: Front {
                proxy,
                site,
                tunnels: tunnels.clone(),
            },
            _checks: checks,
        })
    }

    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.front.proxy.as_ref()
    }
}

/// The present generation.
#[derive(Clone)]
pub(crate) struct Present {
    changes: watch::Receiver<Arc<Generation>>,
    front: Front,
}

impl Present {
    pub(crate) fn start(first: Generation) -> (watch::Sender<Arc<Generation>>, Self) {
        let front = first.front.clone();
        let (sender, changes) = watch::channel(Arc::new(first));
        (sender, Self { changes, front })
    }
}

impl Service<Request<RequestBody>> for Present {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Fronted;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Fronted {
        if self.changes.has_changed().unwrap_or(false) {
            self.front = self.changes.borrow_and_update().front.clone();
        }
        self.front.call(request)
    }
}
