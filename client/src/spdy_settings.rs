//! Settings that a SPDY server asks its clients to keep (the drafts' §2.6.4):
//! their store, and those that the next connection returns.

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use lacewing_conn::proto::Setting;

use crate::Origin;

/// The number of servers whose settings are kept in memory. Beyond it, the least recently updated
/// server is removed.
const MAX_SERVERS: usize = 256;

/// The number of settings to keep for one server: the drafts define eight.
const MAX_SETTINGS: usize = 32;

/// The server of stored settings: an origin at an address.
///
/// ```
/// use lacewing_client::{Origin, SettingsKey};
///
/// let origin = Origin::of(&"https://example.org/".parse().unwrap()).unwrap();
/// let key = SettingsKey::new(origin, Some(([127, 0, 0, 1], 443).into()));
/// # let _ = key;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SettingsKey {
    /// The origin that the connection was made for.
    pub origin: Origin,
    /// The address that answered; `None` where the transport has none.
    pub address: Option<SocketAddr>,
}

impl SettingsKey {
    /// Creates the key of an origin at an address.
    pub fn new(origin: Origin, address: Option<SocketAddr>) -> Self {
        Self { origin, address }
    }
}

/// Keeps what SPDY servers ask their clients to keep between connections. A
/// server can recognise a client by them, as by a cookie: delete them when you
/// delete cookies.
///
/// ```
/// use lacewing_client::{EarlierSettings, Setting, SettingsKey, SettingsStore};
///
/// /// Keeps nothing.
/// struct Forgetful;
///
/// impl SettingsStore for Forgetful {
///     fn load(&self, _: &SettingsKey) -> Vec<Setting> {
///         Vec::new()
///     }
///
///     fn keep(&self, _: &SettingsKey, _: EarlierSettings, _: &[Setting]) {}
/// }
/// ```
pub trait SettingsStore: Send + Sync + 'static {
    /// Returns the stored settings of a server. The client sends them to it in its first frame.
    fn load(&self, key: &SettingsKey) -> Vec<Setting>;

    /// Keeps these settings of a server, beside the `earlier` ones or instead of them. A
    /// setting replaces an earlier one with the same id. Called on the connection's task:
    /// must not block.
    fn keep(&self, key: &SettingsKey, earlier: EarlierSettings, settings: &[Setting]);
}

/// The settings that a server has asked its client to keep before, in the same connection
/// or an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlierSettings {
    /// They stay.
    Keep,
    /// The server asks the client to delete them (FLAG_SETTINGS_CLEAR_SETTINGS).
    Forget,
}

/// Keeps settings in memory, for 256 servers and 32 settings each.
///
/// ```
/// use lacewing_client::{
///     EarlierSettings, MemorySettings, Origin, Setting, SettingsKey, SettingsStore,
/// };
///
/// let origin = Origin::of(&"http://a.example/".parse().unwrap()).unwrap();
/// let key = SettingsKey::new(origin, None);
/// let store = MemorySettings::default();
/// store.keep(&key, EarlierSettings::Keep, &[Setting { id: 5, value: 32 }]);
/// assert_eq!(store.load(&key), [Setting { id: 5, value: 32 }]);
/// ```
#[derive(Debug, Default)]
pub struct MemorySettings {
    /// The latest at the back.
    servers: Mutex<VecDeque<(SettingsKey, Vec<Setting>)>>,
}

impl SettingsStore for MemorySettings {
    fn load(&self, key: &SettingsKey) -> Vec<Setting> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = servers.iter().find(|(known, _)| known == key);
        kept.map(|(_, settings)| settings.clone())
            .unwrap_or_default()
    }

    fn keep(&self, key: &SettingsKey, earlier: EarlierSettings, settings: &[Setting]) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let position = servers.iter().position(|(known, _)| known == key);
        let before = position.and_then(|position| servers.remove(position));
        let mut kept = match earlier {
            EarlierSettings::Keep => before.map(|(_, kept)| kept),
            EarlierSettings::Forget => None,
        };
        let kept_now = kept.get_or_insert_default();
        for setting in settings {
            kept_now.retain(|known| known.id != setting.id);
            if kept_now.len() < MAX_SETTINGS {
                kept_now.push(*setting);
            }
        }
        kept_now.sort_unstable_by_key(|setting| setting.id);
        let Some(kept) = kept.filter(|kept| !kept.is_empty()) else {
            return;
        };
        if servers.len() >= MAX_SERVERS {
            servers.pop_front();
        }
        servers.push_back((key.clone(), kept));
    }
}

/// One connection's part of a store.
#[derive(Clone)]
pub(crate) struct Keeper {
    store: Arc<dyn SettingsStore>,
    key: SettingsKey,
}

impl Keeper {
    pub(crate) fn new(store: Arc<dyn SettingsStore>, key: SettingsKey) -> Self {
        Self { store, key }
    }

    pub(crate) fn load(&self) -> Vec<Setting> {
        let mut settings = self.store.load(&self.key);
        settings.truncate(MAX_SETTINGS);
        settings
    }

    pub(crate) fn keep(&self, earlier: EarlierSettings, settings: &[Setting]) {
        self.store.keep(&self.key, earlier, settings);
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keeper").field(&self.key).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> SettingsKey {
        SettingsKey {
            origin: Origin::of(&"http://a.example/".parse().unwrap()).unwrap(),
            address: Some(([127, 0, 0, 1], port).into()),
        }
    }

    fn setting(id: u32, value: u32) -> Setting {
        Setting { id, value }
    }

    #[test]
    fn later_values_replace_earlier_ones_and_ids_rise() {
        let store = MemorySettings::default();
        store.keep(
            &key(1),
            EarlierSettings::Keep,
            &[setting(5, 10), setting(1, 7)],
        );
        store.keep(
            &key(1),
            EarlierSettings::Keep,
            &[setting(5, 11), setting(4, 100)],
        );
        let expected = [setting(1, 7), setting(4, 100), setting(5, 11)];
        assert_eq!(store.load(&key(1)), expected);
        assert!(store.load(&key(2)).is_empty(), "another address");
        store.keep(&key(1), EarlierSettings::Forget, &[setting(3, 1)]);
        assert_eq!(store.load(&key(1)), [setting(3, 1)]);
        store.keep(&key(1), EarlierSettings::Forget, &[]);
        assert!(store.load(&key(1)).is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let store = MemorySettings::default();
        let many: Vec<_> = (0..1000).map(|id| setting(id, id)).collect();
        for port in 0..1000 {
            store.keep(&key(port), EarlierSettings::Keep, &many);
        }
        assert_eq!(store.load(&key(999)).len(), MAX_SETTINGS);
        assert!(store.load(&key(0)).is_empty());
        assert_eq!(store.servers.lock().unwrap().len(), MAX_SERVERS);
    }
}
