//! One-time tokens.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::error::{CriError, TokensExhausted};

/// The random bytes of a token: too many to guess within its lifetime.
const RANDOM_BYTES: usize = 16;

/// Values that wait under a random token: each can be taken once, within a lifetime.
///
/// ```
/// use std::time::Duration;
/// use lacewing_kube::cri::TokenStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = TokenStore::new(1_000, Duration::from_secs(60));
/// let token = store.insert("the container's id")?;
/// assert_eq!(store.take(&token), Some("the container's id"));
/// assert_eq!(store.take(&token), None);
/// # Ok(())
/// # }
/// ```
pub struct TokenStore<T> {
    limit: usize,
    lifetime: Duration,
    /// In the order of their ages.
    entries: Mutex<VecDeque<Entry<T>>>,
}

struct Entry<T> {
    token: String,
    inserted: Instant,
    value: T,
}

impl<T> TokenStore<T> {
    /// Creates an empty store for at most `limit` values at once.
    pub fn new(limit: usize, lifetime: Duration) -> Self {
        Self {
            limit,
            lifetime,
            entries: Mutex::default(),
        }
    }

    /// Stores a value and returns its token: 22 characters that a URL can have.
    ///
    /// # Errors
    ///
    /// [`CriError::ResourceExhausted`] if the store is full. Values that wait stay valid.
    pub fn insert(&self, value: T) -> Result<String, CriError> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|_| CriError::NoRandomness)?;
        let mut entries = self.live();
        if entries.len() >= self.limit {
            return Err(TokensExhausted { limit: self.limit }.into());
        }
        let token = URL_SAFE_NO_PAD.encode(random);
        entries.push_back(Entry {
            token: token.clone(),
            inserted: Instant::now(),
            value,
        });
        Ok(token)
    }

    /// Takes the value of a token; `None` if it is unknown, expired, or was taken. The time
    /// does not depend on the characters that a wrong token has in common with a right one.
    pub fn take(&self, token: &str) -> Option<T> {
        let mut entries = self.live();
        let mut found = None;
        for (place, entry) in entries.iter().enumerate() {
            if bool::from(entry.token.as_bytes().ct_eq(token.as_bytes())) {
                found = Some(place);
            }
        }
        entries.remove(found?).map(|entry| entry.value)
    }

    /// Returns the number of values that wait.
    pub fn len(&self) -> usize {
        self.live().len()
    }

    /// Returns `true` if no value waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the values that are not expired.
    fn live(&self) -> MutexGuard<'_, VecDeque<Entry<T>>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_expired = |entry: &Entry<T>| now.duration_since(entry.inserted) >= self.lifetime;
        while entries.front().is_some_and(is_expired) {
            entries.pop_front();
        }
        entries
    }
}

impl<T> fmt::Debug for TokenStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tokens are secrets.
        f.debug_struct("TokenStore")
            .field("limit", &self.limit)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_valid_once_and_for_its_lifetime() {
        let store = TokenStore::new(2, Duration::from_secs(60));
        let (first, second) = (store.insert(1).unwrap(), store.insert(2).unwrap());
        assert_ne!(first, second);
        assert_eq!(first.len(), 22);
        let full = store.insert(3).unwrap_err();
        assert_eq!((full.grpc_code(), store.len()), (8, 2));
        for wrong in [
            "",
            "x",
            &first[..21],
            &format!("{first}x"),
            &first.to_lowercase(),
        ] {
            assert_eq!(store.take(wrong), None, "{wrong}");
        }
        assert_eq!(store.take(&first), Some(1));
        assert_eq!(store.take(&first), None);
        tokio::time::advance(Duration::from_millis(59_999)).await;
        let third = store.insert(3).unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(store.take(&second), None);
        assert_eq!(store.take(&third), Some(3));
        assert!(store.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_two_clients_with_one_token_one_wins() {
        let store = Arc::new(TokenStore::new(10, Duration::from_secs(60)));
        for _ in 0..100 {
            let token = store.insert(()).unwrap();
            let tasks: Vec<_> = (0..8)
                .map(|_| {
                    let (store, token) = (Arc::clone(&store), token.clone());
                    tokio::spawn(async move { store.take(&token).is_some() })
                })
                .collect();
            let mut winners = 0;
            for task in tasks {
                winners += usize::from(task.await.unwrap());
            }
            assert_eq!(winners, 1);
        }
    }
}
