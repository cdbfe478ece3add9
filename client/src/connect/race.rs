//! The race of several addresses for the first answer (RFC 8305).

use std::{fmt, future::Future, io, net::SocketAddr, time::Duration};

use tokio::{task::JoinSet, time::timeout};

/// The number of addresses of one host to try. The resolver's further addresses are ignored.
const MAX_ADDRESSES: usize = 64;

/// The errors of a host of which no address answered, one for each address. It is the
/// inner error of the `source` of [`ClientError::Connect`](crate::ClientError::Connect).
///
/// ```
/// use lacewing_client::{AddressErrors, ClientError};
///
/// fn tried(error: &ClientError) -> usize {
///     let ClientError::Connect { source, .. } = error else { return 0 };
///     let each = source.get_ref().and_then(|error| error.downcast_ref::<AddressErrors>());
///     each.map_or(0, |each| each.errors().len())
/// }
/// # let _ = tried;
/// ```
#[derive(Debug)]
pub struct AddressErrors {
    errors: Vec<(SocketAddr, io::Error)>,
}

impl AddressErrors {
    /// Each address and its error, in the order in which they failed.
    pub fn errors(&self) -> &[(SocketAddr, io::Error)] {
        &self.errors
    }

    /// Converts the errors to one, with the kind of the last.
    pub(super) fn into_io(self) -> io::Error {
        let last = self.errors.last();
        let kind = last.map_or(io::ErrorKind::NotFound, |(_, error)| error.kind());
        io::Error::new(kind, self)
    }
}

impl fmt::Display for AddressErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, error)) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for AddressErrors {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let (_, last) = self.errors.last()?;
        Some(last)
    }
}

/// Sorts the addresses so that their families take turns, beginning with that of the first
/// address (RFC 8305 §4).
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let (preferred, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first);
    let mut other = other.into_iter();
    let mut all = Vec::new();
    for address in preferred {
        all.push(address);
        all.extend(other.next());
    }
    all.extend(other);
    all.truncate(MAX_ADDRESSES);
    all
}

/// Returns the result of the first attempt that succeeds. The next attempt begins when one has
/// failed, or `delay` after the latest. The losing attempts are dropped.
pub(super) async fn first<T, F>(
    addresses: Vec<SocketAddr>,
    delay: Duration,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, AddressErrors>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut errors = Vec::new();
    loop {
        match addresses.next() {
            Some(address) => {
                let attempt = attempt(address);
                attempts.spawn(async move { (address, attempt.await) });
            }
            None if attempts.is_empty() => return Err(AddressErrors { errors }),
            None => {}
        }
        let next = attempts.join_next();
        let ended = if addresses.len() == 0 {
            next.await
        } else {
            timeout(delay, next).await.unwrap_or_default()
        };
        match ended {
            Some(Ok((_, Ok(answered)))) => return Ok(answered),
            Some(Ok((address, Err(error)))) => errors.push((address, error)),
            // The delay is over; or the runtime shuts down and cancels tasks.
            Some(Err(_)) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::time::{Instant, sleep};

    use super::*;

    fn v6(port: u16) -> SocketAddr {
        ([0, 0, 0, 0, 0, 0, 0, 1], port).into()
    }

    fn v4(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    /// The behaviour of the address with this port.
    #[derive(Clone, Copy)]
    enum Answer {
        After(u64),
        RefuseAfter(u64),
        Never,
    }

    const DELAY: Duration = Duration::from_millis(250);

    /// The winner, and when each attempt began, in milliseconds.
    async fn race(
        script: &[(SocketAddr, Answer)],
    ) -> (Result<SocketAddr, AddressErrors>, Vec<(SocketAddr, u128)>) {
        let begun = Arc::new(Mutex::new(Vec::new()));
        let start = Instant::now();
        let attempt = |address: SocketAddr| {
            let (_, answer) = *script.iter().find(|(known, _)| *known == address).unwrap();
            begun
                .lock()
                .unwrap()
                .push((address, start.elapsed().as_millis()));
            async move {
                match answer {
                    Answer::After(millis) => {
                        sleep(Duration::from_millis(millis)).await;
                        Ok(address)
                    }
                    Answer::RefuseAfter(millis) => {
                        sleep(Duration::from_millis(millis)).await;
                        Err(io::Error::new(io::ErrorKind::ConnectionRefused, "refused"))
                    }
                    Answer::Never => std::future::pending().await,
                }
            }
        };
        let addresses = script.iter().map(|(address, _)| *address).collect();
        let won = first(addresses, DELAY, attempt).await;
        let begun = begun.lock().unwrap().clone();
        (won, begun)
    }

    #[test]
    fn families_take_turns() {
        let addresses = vec![v6(1), v6(2), v6(3), v4(4), v4(5)];
        assert_eq!(interleave(addresses), [v6(1), v4(4), v6(2), v4(5), v6(3)]);
        assert_eq!(interleave(vec![v4(1), v6(2), v6(3)]), [v4(1), v6(2), v6(3)]);
        assert_eq!(interleave(Vec::new()), []);
        assert_eq!(interleave(vec![v4(1); 1000]).len(), MAX_ADDRESSES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_delays_the_next_by_the_delay() {
        let (won, begun) = race(&[(v6(1), Answer::Never), (v4(2), Answer::After(10))]).await;
        assert_eq!(won.unwrap(), v4(2));
        assert_eq!(begun, [(v6(1), 0), (v4(2), 250)]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_answers_in_time_is_alone() {
        let (won, begun) = race(&[(v6(1), Answer::After(200)), (v4(2), Answer::After(0))]).await;
        assert_eq!(won.unwrap(), v6(1));
        assert_eq!(begun, [(v6(1), 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_begins_the_next_at_once() {
        let script = [
            (v6(1), Answer::RefuseAfter(20)),
            (v4(2), Answer::RefuseAfter(20)),
            (v6(3), Answer::After(20)),
        ];
        let (won, begun) = race(&script).await;
        assert_eq!(won.unwrap(), v6(3));
        assert_eq!(begun, [(v6(1), 0), (v4(2), 20), (v6(3), 40)]);
    }

    /// An earlier attempt continues beside the later ones.
    #[tokio::test(start_paused = true)]
    async fn a_slow_address_can_still_win() {
        let (won, _) = race(&[(v6(1), Answer::After(400)), (v4(2), Answer::After(400))]).await;
        assert_eq!(won.unwrap(), v6(1));
    }

    #[tokio::test(start_paused = true)]
    async fn if_none_answers_all_errors_are_told() {
        let script = [
            (v6(1), Answer::RefuseAfter(600)),
            (v4(2), Answer::RefuseAfter(1)),
        ];
        let (won, _) = race(&script).await;
        let error = won.unwrap_err().into_io();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = error.to_string();
        assert!(text.contains("[::1]:1: refused"), "{text}");
        assert!(text.contains("127.0.0.1:2: refused"), "{text}");
    }
}
