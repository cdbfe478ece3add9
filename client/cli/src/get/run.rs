//! What all fetches of a run share.

use std::sync::Arc;

use super::{
    clients::Clients,
    content::Content,
    dials::Dials,
    options::Get,
    pushes::Promises,
    record::Record,
    write_out::{Facts, Format},
};
use crate::progress::Meter;

/// What all fetches of a run share.
pub(super) struct Run {
    pub(super) get: Get,
    pub(super) clients: Clients,
    pub(super) content: Content,
    pub(super) format: Option<Format>,
    pub(super) meter: Meter,
    pub(super) dials: Dials,
    /// With --har or --stat.
    pub(super) record: Option<Arc<Record>>,
    pub(super) pushed: Arc<Promises>,
}

impl Run {
    /// Records the request that ended.
    pub(super) fn record(&self, facts: &mut Facts) {
        if let (Some(record), Some(exchange)) = (&self.record, facts.end_exchange()) {
            record.push(exchange);
        }
    }
}
