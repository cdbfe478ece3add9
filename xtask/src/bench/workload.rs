//! The workloads, each with its bound.

use super::Bar;

/// One h2load workload for both servers.
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    /// Each request carries 1 MiB.
    pub(super) upload: bool,
    pub(super) tls: bool,
    pub(super) connections: u32,
    /// Streams open at once on each connection.
    pub(super) streams: u32,
    /// The number of requests in a full round; a quick round has a quarter.
    pub(super) requests: u64,
    pub(super) unit: Unit,
    pub(super) bar: Option<Bar>,
}

/// The divisor of the CPU time.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    MicrosecondsPerRequest,
    /// Each request or response has `bytes` of body.
    MillisecondsPerGigabyte {
        bytes: u64,
    },
}

impl Unit {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MicrosecondsPerRequest => "µs/req",
            Self::MillisecondsPerGigabyte { .. } => "ms/GB",
        }
    }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Small responses of 11 bytes, on ten connections with a hundred streams each.
const SMALL: Workload = Workload {
    name: "small GET, 10 × 100 streams",
    path: "/",
    upload: false,
    tls: false,
    connections: 10,
    streams: 100,
    requests: 400_000,
    unit: Unit::MicrosecondsPerRequest,
    bar: Some(Bar::Ratio(0.75)),
};

/// Bodies of 1 MiB.
const BULK: Workload = Workload {
    name: "GET 1 MiB, 4 × 4 streams",
    path: "/bytes/1048576",
    upload: false,
    tls: false,
    connections: 4,
    streams: 4,
    requests: 4_000,
    unit: Unit::MillisecondsPerGigabyte { bytes: MIB },
    bar: Some(Bar::Ratio(1.0)),
};

pub(super) const WORKLOADS: &[Workload] = &[
    SMALL,
    Workload {
        name: "small GET, 1 × 1000 streams",
        connections: 1,
        streams: 1000,
        bar: None,
        ..SMALL
    },
    Workload {
        name: "small GET, one at a time",
        connections: 1,
        streams: 1,
        requests: 40_000,
        bar: None,
        ..SMALL
    },
    Workload {
        name: "GET 64 KiB, 10 × 10 streams",
        path: "/bytes/65536",
        connections: 10,
        streams: 10,
        requests: 40_000,
        unit: Unit::MillisecondsPerGigabyte { bytes: 64 * KIB },
        ..BULK
    },
    BULK,
    Workload {
        name: "GET 1 GiB, one stream",
        path: "/bytes/1073741824",
        connections: 1,
        streams: 1,
        requests: 4,
        unit: Unit::MillisecondsPerGigabyte { bytes: 1024 * MIB },
        bar: None,
        ..BULK
    },
    Workload {
        name: "POST 1 MiB, 4 × 4 streams",
        path: "/upload",
        upload: true,
        requests: 2_000,
        ..BULK
    },
    Workload {
        name: "TLS small GET, 10 × 100 streams",
        tls: true,
        bar: None,
        ..SMALL
    },
    Workload {
        name: "TLS GET 1 MiB, 4 × 4 streams",
        tls: true,
        requests: 2_000,
        bar: None,
        ..BULK
    },
];
