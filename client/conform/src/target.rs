//! The server under test: its resources and abilities.

use lacewing_frames::Version;

/// A server under test: its resources and abilities.
///
/// ```
/// use lacewing_conform::{Target, Version};
///
/// let mut target = Target::new("https", "example.org").version(Version::Spdy31);
/// target.large_path = "/video".into();
/// target.post_path = "/upload".into();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Target {
    /// The protocol of the cases.
    pub version: Version,
    /// `http` or `https`. With `http`, a server of SPDY/3.1 need not obey the window of the session
    /// before it receives WINDOW_UPDATE for it: in cleartext it cannot tell a client of SPDY/3.1
    /// from one of SPDY/3.
    pub scheme: String,
    /// The authority of requests: host and port.
    pub authority: String,
    /// A resource that answers GET with 200 and some content, at most [`Self::MAX_PAGE`].
    pub path: String,
    /// A resource with 64 KiB of content or more.
    pub large_path: String,
    /// A resource that reads the body of a POST and answers 2xx.
    pub post_path: String,
    /// The results of [`Target::probe`].
    pub abilities: Abilities,
}

/// The abilities of a server, as [`Target::probe`] found them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abilities {
    /// It answers GET with 200.
    pub answers: bool,
    /// Bytes of content at the path (counted until they exceed [`Target::MAX_PAGE`]).
    pub content: u64,
    /// Bytes of content at the large path (counted up to 256 KiB).
    pub large_content: u64,
    /// It answers POST with 2xx.
    pub upload: bool,
    /// Extended CONNECT is on (RFC 8441).
    pub extended_connect: bool,
    /// SETTINGS_MAX_CONCURRENT_STREAMS.
    pub max_concurrent_streams: Option<u32>,
    /// SETTINGS_MAX_FRAME_SIZE.
    pub max_frame_size: u32,
    /// SETTINGS_INITIAL_WINDOW_SIZE.
    pub initial_window_size: u32,
    /// SETTINGS_HEADER_TABLE_SIZE.
    pub header_table_size: u32,
}

impl Target {
    /// The most content at the path, in bytes: 512 KiB. Above it, cases that wait for whole
    /// responses are skipped: up to 32 of them must arrive within a timeout.
    pub const MAX_PAGE: u64 = 512 * 1024;

    /// A server of HTTP/2 with all its resources at `/`, not yet probed.
    pub fn new(scheme: impl Into<String>, authority: impl Into<String>) -> Self {
        Self {
            version: Version::Http2,
            scheme: scheme.into(),
            authority: authority.into(),
            path: "/".into(),
            large_path: "/".into(),
            post_path: "/".into(),
            abilities: Abilities {
                max_frame_size: 16_384,
                initial_window_size: 65_535,
                header_table_size: 4_096,
                ..Abilities::default()
            },
        }
    }

    /// Sets the protocol of the cases.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }
}
