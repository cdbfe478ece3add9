//! Header lists are compressed according to the connection's configuration.

use lacewing_conn::{
    Version,
    driver::{Mux, MuxConfig, OpenOptions},
    proto::HeaderCompression,
};

use crate::support::*;

const SECRET: &str = "7b0e94c1d25f38a6b1c7720d5e9f4a38c06be2d19475fa83";
/// One guess is right up to its middle, the other is wrong everywhere.
const HALF: &str = "7b0e94c1d25f38a6b1c7720dNSMXLWKQZPVJYRTGHUOIBDCE";
const WRONG: &str = "ZQXWVJKPYRTGHUOIBDCENSML7b0e94c1d25f38a6XQZWKVJP";

/// The lengths of three header lists: with a value that was sent before, with a value that begins
/// like it, and with another value.
async fn costs(mux: &Mux, peer: &Mux) -> [u64; 3] {
    let mut costs = [0; 3];
    let (mut sent, mut before) = (Vec::new(), 0);
    for (place, value) in [(None, SECRET), (Some(2), WRONG), (Some(1), HALF)]
        .into_iter()
        .chain([(Some(0), SECRET)])
    {
        let open = mux.open(headers("x-key", value), OpenOptions::default());
        sent.push(soon(open).await.unwrap());
        assert_eq!(accept(peer).await.0["x-key"], value);
        let compressed = soon(mux.stats()).await.unwrap().headers_sent.compressed;
        if let Some(place) = place {
            costs[place] = compressed - before;
        }
        before = compressed;
    }
    costs
}

#[tokio::test(start_paused = true)]
async fn each_policy_compresses_as_documented() {
    let length = SECRET.len() as u64;
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        for policy in [
            None,
            Some(HeaderCompression::WholeField),
            Some(HeaderCompression::Stored),
            Some(HeaderCompression::Zlib(9)),
        ] {
            let config = |side| {
                MuxConfig::new(side).with(|config| {
                    let compression = &mut config.connection.header_compression;
                    *compression = policy.unwrap_or(*compression);
                })
            };
            let (here, there) = tokio::io::duplex(4096);
            let pair = pair_over(version, config, here, there);
            for (mux, peer) in [(&pair.client, &pair.server), (&pair.server, &pair.client)] {
                let [same, half, wrong] = costs(mux, peer).await;
                let told = format!("{version}, {policy:?}: {same}, {half}, {wrong}");
                match policy {
                    Some(HeaderCompression::Stored) => {
                        assert!(same == half && half == wrong && wrong > length, "{told}");
                    }
                    // If a half-right guess shortens the list, CRIME works.
                    Some(HeaderCompression::Zlib(_)) => {
                        assert!(same < half && half + 10 < wrong, "{told}");
                    }
                    _ => {
                        assert!(same + 40 < wrong, "{told}");
                        assert!(half == wrong && wrong > length, "{told}");
                    }
                }
            }
            pair.end().await;
        }
    }
}
