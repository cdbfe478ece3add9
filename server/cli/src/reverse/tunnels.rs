//! All tunnels of a gateway. They outlive reloads.

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lacewing_client::ConnectionConfig;

use super::{
    limits::of_a_tunnel,
    name::TunnelName,
    token::{Presented, Token},
    tunnel::{Permit, Refusal, Tunnel},
};

/// The most tunnels.
const MAX_TUNNELS: usize = 256;

/// A tunnel of the command line: `NAME=FILE`, the file with its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TunnelSpec {
    pub(crate) name: TunnelName,
    pub(crate) file: PathBuf,
}

impl FromStr for TunnelSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = text
            .split_once('=')
            .filter(|(_, file)| !file.is_empty())
            .ok_or_else(|| format!("`{text}` is no NAME=FILE, such as office=office.token"))?;
        Ok(Self {
            name: name.parse()?,
            file: file.into(),
        })
    }
}

/// All tunnels.
#[derive(Clone, Default)]
pub(crate) struct Tunnels(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    tunnels: HashMap<TunnelName, Arc<Tunnel>>,
    connection: Option<ConnectionConfig>,
}

impl Tunnels {
    /// The tunnel with this name, whether diallers may use it or not.
    pub(crate) fn named(&self, name: &TunnelName) -> Arc<Tunnel> {
        let mut state = self.lock();
        let new = || Arc::new(Tunnel::new(name.clone()));
        let tunnel = state.tunnels.entry(name.clone()).or_insert_with(new);
        Arc::clone(tunnel)
    }

    /// Replaces the tokens. Connections whose token is the same stay. `connection` is the
    /// configuration of later ones.
    pub(crate) fn set(
        &self,
        tokens: &[(TunnelName, Token)],
        connection: ConnectionConfig,
        keep_alive: Duration,
    ) {
        for (name, _) in tokens {
            self.named(name);
        }
        let mut state = self.lock();
        state.connection = Some(of_a_tunnel(connection, keep_alive));
        for (name, tunnel) in &state.tunnels {
            let token = tokens.iter().find(|(one, _)| one == name);
            tunnel.set_token(token.map(|(_, token)| token));
        }
        // Those that a route still has stay.
        state
            .tunnels
            .retain(|_, tunnel| tunnel.is_open() || Arc::strong_count(tunnel) > 1);
    }

    /// Returns whether any dialler may come.
    pub(super) fn are_open(&self) -> bool {
        self.lock().tunnels.values().any(|tunnel| tunnel.is_open())
    }

    /// Admits a dialler by the name and the token that it presents.
    pub(super) fn admit(
        &self,
        name: &str,
        presented: &Presented,
    ) -> Result<(Permit, ConnectionConfig), Refusal> {
        let state = self.lock();
        let name: TunnelName = name.parse().map_err(|_| Refusal::Unauthorized)?;
        let tunnel = state.tunnels.get(&name).ok_or(Refusal::Unauthorized)?;
        let connection = state.connection.clone().ok_or(Refusal::Unauthorized)?;
        Ok((tunnel.admit(presented)?, connection))
    }

    /// Ends all tunnels, once the last requests are answered.
    pub(crate) async fn shut_down(&self) {
        let tunnels: Vec<_> = self.lock().tunnels.values().cloned().collect();
        for tunnel in &tunnels {
            tunnel.stop();
        }
        for tunnel in &tunnels {
            tunnel.wait_for_end().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tunnels")
            .field(&self.lock().tunnels.keys())
            .finish()
    }
}

/// The tokens of the files that the options name.
pub(crate) fn tokens(specs: &[TunnelSpec]) -> Result<Vec<(TunnelName, Token)>, String> {
    if specs.len() > MAX_TUNNELS {
        return Err(format!("--tunnel: more than {MAX_TUNNELS} tunnels"));
    }
    let mut tokens: Vec<(TunnelName, Token)> = Vec::with_capacity(specs.len());
    for spec in specs {
        let name = &spec.name;
        if tokens.iter().any(|(one, _)| one == name) {
            return Err(format!("--tunnel {name}: it is there twice"));
        }
        let token = Token::read(&spec.file).map_err(|why| format!("--tunnel {name}: {why}"))?;
        tokens.push((name.clone(), token));
    }
    Ok(tokens)
}
