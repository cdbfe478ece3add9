//! The advertisements of servers: their origins (RFC 8336) and alternative
//! services (RFC 7838).

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Uri};

use crate::Origin;

/// Origins of one connection that are remembered.
const MAX_ORIGINS: usize = 256;

/// Alternative services of one connection that are remembered, one for each
/// origin.
const MAX_SERVICES: usize = 64;

/// An alternative service of an origin, as the server advertises it (RFC 7838 §4).
///
/// The client reports it, and does not use it on its own.
///
/// ```
/// # fn show(connection: &lacewing_client::Connection) {
/// for service in connection.alternative_services() {
///     println!("{:?}: {:?}", service.origin, service.value);
/// }
/// # }
/// # let _ = show;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlternativeService {
    /// The origin in question; `None`: that of the requests on this connection.
    pub origin: Option<Origin>,
    /// As in the `Alt-Svc` header field, such as `h3=":443"; ma=86400`.
    pub value: HeaderValue,
}

/// Is called with each alternative service that a server names.
#[derive(Clone)]
pub(crate) struct OnAlternative(pub(crate) Arc<dyn Fn(&AlternativeService) + Send + Sync>);

impl fmt::Debug for OnAlternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnAlternative")
    }
}

/// The advertisements of a server: its origins and alternative services.
#[derive(Debug, Default)]
pub(crate) struct Advertised {
    pub(crate) origins: Vec<Origin>,
    pub(crate) services: Vec<AlternativeService>,
}

impl Advertised {
    /// Adds origins. Values that are not origins are ignored (RFC 8336 §2.1).
    pub(crate) fn add_origins(&mut self, origins: Vec<Bytes>) {
        for origin in origins.into_iter().filter_map(parse) {
            if self.origins.len() < MAX_ORIGINS && !self.origins.contains(&origin) {
                self.origins.push(origin);
            }
        }
    }

    /// Adds a service, in place of an earlier one of its origin; `clear` removes
    /// it.
    pub(crate) fn add_service(&mut self, service: AlternativeService) {
        self.services
            .retain(|earlier| earlier.origin != service.origin);
        if service.value == "clear" {
            return;
        }
        if self.services.len() >= MAX_SERVICES {
            self.services.remove(0);
        }
        self.services.push(service);
    }
}

impl AlternativeService {
    /// `None` if the origin or the value is invalid.
    pub(crate) fn new(origin: Option<Bytes>, value: Bytes) -> Option<Self> {
        let origin = match origin {
            Some(origin) => Some(parse(origin)?),
            None => None,
        };
        let value = HeaderValue::from_maybe_shared(value).ok()?;
        Some(Self { origin, value })
    }
}

fn parse(origin: Bytes) -> Option<Origin> {
    Origin::of(&Uri::from_maybe_shared(origin).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_add_up_and_are_bounded() {
        let mut advertised = Advertised::default();
        let some = [
            "https://a.example",
            "https://a.example:443",
            "null",
            "\u{1}",
        ];
        advertised.add_origins(some.map(Bytes::from).to_vec());
        assert_eq!(advertised.origins.len(), 1);
        let many = (0..1000).map(|n| Bytes::from(format!("https://n{n}.example")));
        advertised.add_origins(many.collect());
        assert_eq!(advertised.origins.len(), MAX_ORIGINS);
    }

    #[test]
    fn the_last_word_about_an_origin_counts() {
        let service = |origin: &'static str, value: &'static str| {
            AlternativeService::new(Some(origin.into()), value.into()).unwrap()
        };
        let mut advertised = Advertised::default();
        advertised.add_service(service("https://a.example", "h3=\":1\""));
        advertised.add_service(service("https://b.example", "h3=\":2\""));
        advertised.add_service(service("https://a.example", "h3=\":3\""));
        assert_eq!(advertised.services.len(), 2);
        advertised.add_service(service("https://b.example", "clear"));
        assert_eq!(
            advertised.services,
            [service("https://a.example", "h3=\":3\"")]
        );
        for number in 0..1000 {
            let origin = Bytes::from(format!("https://n{number}.example"));
            let service = AlternativeService::new(Some(origin), "h3=\":1\"".into());
            advertised.add_service(service.unwrap());
        }
        assert_eq!(advertised.services.len(), MAX_SERVICES);
        assert_eq!(
            AlternativeService::new(Some("null".into()), "x".into()),
            None
        );
        assert_eq!(AlternativeService::new(None, "\n".into()), None);
    }
}
