//! The workloads of the servers, each with its contenders and its bound.

use super::contender::Contender::{
    self, Canned, H2, H2o, Hyper, Lacewing, LacewingThreads, Lacewingd, Nghttpd, Nginx, NodeSpdy,
};
use super::table::Bar;

/// One workload for all contenders.
pub(super) struct Workload {
    pub(super) name: &'static str,
    /// Ours first.
    pub(super) contenders: &'static [Contender],
    pub(super) path: &'static str,
    /// Each request carries 1 MiB.
    pub(super) upload: bool,
    /// SPDY/3.1, by `lacewing load`; otherwise HTTP/2, by h2load.
    pub(super) spdy: bool,
    pub(super) fields: Fields,
    pub(super) tls: bool,
    pub(super) connections: u32,
    /// Streams open at once on each connection.
    pub(super) streams: u32,
    /// The number of requests in a full round; a quick round has a quarter.
    pub(super) requests: u64,
    pub(super) unit: Unit,
    pub(super) bar: Option<Bar>,
}

/// The request header fields beside those that the load generator always sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fields {
    None,
    /// 30 fields that fit the dynamic table.
    Thirty,
    /// 30 fields that evict one another.
    Thrashing,
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

    /// Converts the CPU seconds of so many requests.
    pub(super) fn figure(self, seconds: f64, requests: u64) -> f64 {
        let requests = requests as f64;
        match self {
            Self::MicrosecondsPerRequest => seconds * 1e6 / requests,
            Self::MillisecondsPerGigabyte { bytes } => {
                seconds * 1e3 / (requests * bytes as f64 * 1e-9)
            }
        }
    }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The libraries and the file servers, and the floor of the machine.
const ALL: &[Contender] = &[Lacewing, Hyper, H2, Nghttpd, H2o, Nginx, Canned];

/// The servers that answer a POST.
const UPLOADS: &[Contender] = &[Lacewing, Hyper, H2, Canned];

/// Two threads beside one.
const THREADS: &[Contender] = &[LacewingThreads, Lacewing];

/// The programs that serve files.
const FILES: &[Contender] = &[Lacewingd, Nghttpd, H2o, Nginx];

/// Our library and our program, which serve SPDY in cleartext too.
const SPDY: &[Contender] = &[Lacewing, Lacewingd];

/// The programs that serve files by SPDY over TLS.
const SPDY_FILES: &[Contender] = &[Lacewingd, NodeSpdy];

/// Small responses of 11 bytes, on ten connections with a hundred streams each.
const SMALL: Workload = Workload {
    name: "small GET, 10 × 100 streams",
    contenders: ALL,
    path: "/",
    upload: false,
    spdy: false,
    fields: Fields::None,
    tls: false,
    connections: 10,
    streams: 100,
    requests: 400_000,
    unit: Unit::MicrosecondsPerRequest,
    bar: Some(Bar::ratio(H2o, 1.0)),
};

/// Bodies of 1 MiB.
const BULK: Workload = Workload {
    name: "GET 1 MiB, 4 × 4 streams",
    path: "/bytes/1048576",
    connections: 4,
    streams: 4,
    requests: 4_000,
    unit: Unit::MillisecondsPerGigabyte { bytes: MIB },
    bar: Some(Bar::ratio(Canned, 1.15)),
    ..SMALL
};

/// A page of 1.4 KB, by SPDY/3.1.
const SPDY_PAGE: Workload = Workload {
    name: "SPDY/3.1 file of 1.4 KB, 4 × 32 streams",
    contenders: SPDY,
    path: "/bytes/1404",
    spdy: true,
    connections: 4,
    streams: 32,
    requests: 200_000,
    bar: None,
    ..SMALL
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
        name: "small GET, two threads",
        contenders: THREADS,
        bar: Some(Bar::ratio(Lacewing, 1.05)),
        ..SMALL
    },
    Workload {
        name: "30 fields, 1 × 100 streams",
        fields: Fields::Thirty,
        connections: 1,
        requests: 200_000,
        ..SMALL
    },
    Workload {
        name: "30 fields, thrashing",
        fields: Fields::Thrashing,
        connections: 1,
        requests: 40_000,
        bar: Some(Bar::best_peer(0.7)),
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
        ..BULK
    },
    Workload {
        name: "POST 1 MiB, 4 × 4 streams",
        contenders: UPLOADS,
        path: "/upload",
        upload: true,
        requests: 2_000,
        ..BULK
    },
    Workload {
        name: "TLS small GET, 10 × 100 streams",
        tls: true,
        ..SMALL
    },
    Workload {
        name: "TLS GET 1 MiB, 4 × 4 streams",
        tls: true,
        requests: 2_000,
        bar: Some(Bar::best_peer(1.0)),
        ..BULK
    },
    Workload {
        name: "file of 12 bytes, 10 × 100",
        contenders: FILES,
        path: "/small.txt",
        bar: Some(Bar::best_peer(1.0)),
        ..SMALL
    },
    Workload {
        name: "file of 12 bytes, one at a time",
        contenders: FILES,
        path: "/small.txt",
        connections: 1,
        streams: 1,
        requests: 40_000,
        bar: Some(Bar::best_peer(1.0)),
        ..SMALL
    },
    Workload {
        name: "file of 1 MiB, 4 × 4 streams",
        contenders: FILES,
        bar: None,
        ..BULK
    },
    SPDY_PAGE,
    Workload {
        name: "SPDY/3.1 file of 1.4 KB, one at a time",
        connections: 1,
        streams: 1,
        requests: 40_000,
        ..SPDY_PAGE
    },
    Workload {
        name: "SPDY/3.1 file of 5 MB, 4 × 4 streams",
        path: "/bytes/5000000",
        streams: 4,
        requests: 1_000,
        unit: Unit::MillisecondsPerGigabyte { bytes: 5_000_000 },
        ..SPDY_PAGE
    },
    Workload {
        name: "SPDY/3.1 over TLS, file of 1.4 KB, 4 × 32 streams",
        contenders: SPDY_FILES,
        tls: true,
        // Node takes about 0.5 ms for each.
        requests: 20_000,
        bar: Some(Bar::best_peer(0.3)),
        ..SPDY_PAGE
    },
    Workload {
        name: "SPDY/3.1 over TLS, file of 1.4 KB, one at a time",
        contenders: SPDY_FILES,
        tls: true,
        connections: 1,
        streams: 1,
        requests: 10_000,
        bar: Some(Bar::best_peer(1.0)),
        ..SPDY_PAGE
    },
];
