//! The fuzz targets of `lacewing-conn`, as functions: `fuzz_targets` has a program for each.

mod engine;
mod script;

use lacewing_conn::{Side, Version};

macro_rules! targets {
    ($($name:ident: $version:ident $side:ident,)*) => {$(
        /// An engine of this protocol and side, against any peer.
        pub fn $name(input: &[u8]) {
            engine::run(Version::$version, Side::$side, input);
        }
    )*};
}

targets! {
    server_http2: Http2 Server,
    server_spdy31: Spdy31 Server,
    server_spdy3: Spdy3 Server,
    server_spdy2: Spdy2 Server,
    client_http2: Http2 Client,
    client_spdy31: Spdy31 Client,
    client_spdy3: Spdy3 Client,
    client_spdy2: Spdy2 Client,
}
