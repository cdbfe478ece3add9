//! Files in memory.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;

use super::facts::Facts;
use crate::{
    budget::{Budget, Charge},
    disk::Identity,
};

/// The most files that are remembered. Of a large file that is its facts, not its
/// content.
const MAX_ENTRIES: usize = 4096;
/// The bytes of small files in memory, including those that stalled responses hold.
const MAX_BYTES: usize = 32 << 20;
/// The share of the entries that makes room at once: an eighth, those that were
/// not used for longest.
const EVICTED_SHARE: usize = 8;

/// A file that was read, or looked at.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The path on the disk.
    pub(crate) path: PathBuf,
    pub(crate) facts: Facts,
    /// A small file's content.
    pub(crate) body: Option<Bytes>,
    used: AtomicU64,
    /// Microseconds, by the clock of [`Files`](super::Files), at which the file was the
    /// same.
    fresh_at: AtomicU64,
}

impl Entry {
    pub(crate) fn new(path: PathBuf, facts: Facts, body: Option<Bytes>) -> Self {
        Self {
            path,
            facts,
            body,
            used: AtomicU64::new(0),
            fresh_at: AtomicU64::new(0),
        }
    }

    /// This file as a representation of another, in a coding. `None` if the other is newer: it was
    /// changed and not compressed again.
    pub(crate) fn in_coding(&self, plain: &Self, coding: &HeaderValue) -> Option<Self> {
        let is_new = self.facts.identity.modified() >= plain.facts.identity.modified();
        is_new.then(|| {
            let facts = self.facts.in_coding(&plain.facts, coding);
            Self::new(self.path.clone(), facts, self.body.clone())
        })
    }

    /// Returns true if the file on the disk is the same.
    pub(crate) fn is_fresh(&self) -> bool {
        Identity::of(&self.path).is_ok_and(|identity| identity == self.facts.identity)
    }

    pub(crate) fn note_fresh(&self, at: Duration) {
        self.fresh_at.store(micros(at), Ordering::Relaxed);
    }

    pub(crate) fn was_fresh_within(&self, time: Duration, now: Duration) -> bool {
        let at = self.fresh_at.load(Ordering::Relaxed);
        // 0: never.
        at > 0 && micros(now).saturating_sub(at) < micros(time)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Files by their path below the root.
pub(crate) struct Cache {
    entries: RwLock<HashMap<Box<str>, Arc<Entry>>>,
    budget: Arc<Budget>,
    /// Counts look-ups.
    clock: AtomicU64,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            entries: RwLock::default(),
            budget: Budget::new(MAX_BYTES),
            clock: AtomicU64::new(0),
        }
    }
}

impl Cache {
    pub(crate) fn get(&self, path: &str) -> Option<Arc<Entry>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(path)?;
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        entry.used.store(now, Ordering::Relaxed);
        Some(Arc::clone(entry))
    }

    pub(crate) fn insert(&self, path: &str, entry: Arc<Entry>) {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        entry.used.store(now, Ordering::Relaxed);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_ENTRIES {
            evict(&mut entries);
        }
        entries.insert(path.into(), entry);
    }

    pub(crate) fn remove(&self, path: &str) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.remove(path);
    }

    /// Reserves memory for the content of a file. `None` if there is not enough even after an
    /// eviction, because stalled responses hold other content.
    pub(crate) fn charge(&self, len: usize) -> Option<Charge> {
        self.budget.charge(len).or_else(|| {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            evict(&mut entries);
            drop(entries);
            self.budget.charge(len)
        })
    }
}

fn evict(entries: &mut HashMap<Box<str>, Arc<Entry>>) {
    let used = |entry: &Arc<Entry>| entry.used.load(Ordering::Relaxed);
    let mut times: Vec<_> = entries.values().map(used).collect();
    let share = times.len() / EVICTED_SHARE;
    if times.is_empty() {
        return;
    }
    let (_, &mut last, _) = times.select_nth_unstable(share);
    entries.retain(|_, entry| used(entry) > last);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn entry(cache: &Cache, len: usize) -> Option<Arc<Entry>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let identity = Identity::of(&path).unwrap();
        let facts = Facts::new(&path, identity, b"", crate::files::Varies::Never);
        let body = cache.charge(len)?.hold(vec![0; len]);
        Some(Arc::new(Entry::new(path, facts, Some(body))))
    }

    #[test]
    fn the_number_of_entries_is_bounded_and_those_in_use_stay() {
        let cache = Cache::default();
        for number in 0..2 * MAX_ENTRIES {
            cache.insert(&number.to_string(), entry(&cache, 1).unwrap());
            assert!(cache.get("0").is_some());
        }
        let entries = cache.entries.read().unwrap().len();
        assert!(entries <= MAX_ENTRIES, "{entries}");
        assert!(cache.get("1").is_none());
        cache.remove("0");
        assert!(cache.get("0").is_none());
    }

    #[test]
    fn one_look_serves_requests_of_the_same_moment_only() {
        let entry = entry(&Cache::default(), 1).unwrap();
        let micros = Duration::from_micros;
        assert!(!entry.was_fresh_within(micros(100), micros(50)));
        entry.note_fresh(micros(1000));
        assert!(entry.was_fresh_within(micros(100), micros(1099)));
        assert!(!entry.was_fresh_within(micros(100), micros(1100)));
    }

    #[test]
    fn content_that_a_response_holds_is_counted() {
        let cache = Cache::default();
        const LEN: usize = MAX_BYTES / 4;
        let held: Vec<_> = (0..4)
            .map(|number| {
                let entry = entry(&cache, LEN).unwrap();
                cache.insert(&number.to_string(), Arc::clone(&entry));
                entry.body.clone()
            })
            .collect();
        assert!(entry(&cache, 1).is_none());
        drop(held);
        assert!(entry(&cache, 1).is_some());
    }
}
