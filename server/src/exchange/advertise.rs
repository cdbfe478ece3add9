//! The advertisements at the start of a connection: origins (RFC 8336) and
//! alternative services (RFC 7838).

use lacewing_conn::{driver::facade::Context, proto::AlternativeFor};

use super::Exchanges;
use crate::HttpService;

impl<S: HttpService> Exchanges<S> {
    /// ORIGIN and ALTSVC, once. SPDY has neither.
    #[inline]
    pub(super) fn advertise(&mut self, conn: &mut Context<'_>) {
        if !self.advertised {
            self.advertised = true;
            self.send_advertisements(conn);
        }
    }

    #[cold]
    fn send_advertisements(&mut self, conn: &mut Context<'_>) {
        let advertisements = &self.options.advertisements;
        // In cleartext a client must ignore it (RFC 8336 §2.4).
        if !advertisements.origins.is_empty() && self.info.is_tls() {
            let _ = conn.send_origins(&advertisements.origins);
        }
        for (origin, value) in &advertisements.alternatives {
            let whose = AlternativeFor::Origin(origin.clone());
            let _ = conn.send_alternative(&whose, value);
        }
    }
}
