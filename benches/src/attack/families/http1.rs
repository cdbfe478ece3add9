//! HTTP/1.1 on the same port.

use std::time::Duration;

use crate::attack::case::{Case, LOWERED};
use crate::attack::dialect::H1;
use crate::attack::peer::{Pace, Peer};
use crate::attack::play::{Play, flood};
use crate::attack::seen::Manners;
use crate::attack::wire::{Fin, field};

type Played = Result<Vec<Peer>, String>;

pub(super) const CASES: &[Case] = &[
    waits("http1/headers-drip", "19 http1", |play| {
        let mut peer = play.socket(Manners::Mute)?;
        for byte in b"GET / HTTP/1.1\r\nhost: v" {
            peer.wire.raw([*byte]);
            peer.flush();
            if peer.is_closed() {
                break;
            }
            peer.wait(Duration::from_millis(play.small_or(150, 3_000)), |_| false);
        }
        Ok(vec![peer])
    }),
    waits("http1/body-stops", "18 http1", |play| {
        raw(play, b"POST /upload HTTP/1.1\r\nhost: v\r\ncontent-length: 9\r\n\r\nx")
    }),
    waits("http1/chunk-stops", "18 http1", |play| {
        raw(play, b"POST /upload HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked\r\n\r\n5\r\nx")
    }),
    waits("http1/body-drips", "18 http1", |play| {
        let mut peer = play.socket(Manners::Mute)?;
        peer.wire.raw("POST /upload HTTP/1.1\r\nhost: v\r\ncontent-length: 1000\r\n\r\n");
        let pause = play.small_or(300, 5_000);
        for _ in 0..play.small_or(20, 40) {
            peer.wire.raw("x");
            peer.flush();
            if peer.is_closed() {
                break;
            }
            peer.wait(Duration::from_millis(pause), |_| false);
        }
        Ok(vec![peer])
    }),
    waits("http1/response-unread", "8 18 http1", |play| {
        let mut peer = play.socket(Manners::Mute)?;
        peer.read_at(Pace::Stopped);
        peer.get("/bytes/100000000");
        peer.flush();
        Ok(vec![peer])
    }),
    waits("http1/response-slow-read", "18 http1", |play| {
        let mut peer = play.connect_narrow(Manners::Mute)?;
        peer.read_at(Pace::Slow(play.small_or(100, 10)));
        peer.get("/bytes/100000000");
        peer.flush();
        Ok(vec![peer])
    }),
    Case::refused("http1/many-fields", "14 http1", H1, |play| {
        let mut peer = play.socket(Manners::Mute)?;
        let fields: Vec<_> = (0..5_000).map(|n| field(format!("a{n}"), "")).collect();
        peer.request("GET", "/", Fin::End, &fields);
        peer.flush();
        Ok(vec![peer])
    })
    .beside("honest/small-requests-http1"),
    Case::refused("http1/large-list", "13 http1", H1, |play| {
        let mut peer = play.socket(Manners::Mute)?;
        peer.request("GET", "/", Fin::End, &[field("a", vec![b'x'; 1 << 20])]);
        peer.flush();
        Ok(vec![peer])
    })
    .beside("honest/small-requests-http1"),
    Case::bounded("http1/one-byte-chunks-unread", "11 http1", H1, |play| {
        let peer = upload(play, "/unread")?;
        let mut peers = vec![peer];
        flood(&mut peers, b"1\r\nx\r\n", play.flood_time());
        Ok(peers)
    })
    .beside("honest/small-requests-http1")
    .busy(),
    Case::refused("http1/chunk-extensions", "28 http1", H1, |play| {
        let mut peer = upload(play, "/upload")?;
        peer.wire.raw("1");
        let mut peers = vec![peer];
        flood(&mut peers, b";extension=1234567890", play.flood_time());
        Ok(peers)
    })
    .beside("honest/small-requests-http1")
    .busy(),
    Case::bounded("http1/pipelining-unread", "4 http1", H1, |play| {
        let peer = play.socket(Manners::Mute)?;
        peer.read_at(Pace::Stopped);
        let mut peers = vec![peer];
        flood(&mut peers, b"GET / HTTP/1.1\r\nhost: v\r\n\r\n", play.flood_time());
        Ok(peers)
    })
    .beside("honest/small-requests-http1")
    .busy(),
    Case::refused("http1/length-and-chunked", "28 smuggling", H1, |play| {
        raw(
            play,
            b"POST /upload HTTP/1.1\r\nhost: v\r\ncontent-length: 4\r\n\
              transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /sleep/1 HTTP/1.1\r\nhost: v\r\n\r\n",
        )
    })
    .beside("honest/small-requests-http1"),
    Case::refused("http1/two-lengths", "28 smuggling", H1, |play| {
        raw(
            play,
            b"POST /upload HTTP/1.1\r\nhost: v\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
        )
    })
    .beside("honest/small-requests-http1"),
    Case::refused("http1/no-host", "28 host", H1, |play| raw(play, b"GET / HTTP/1.1\r\n\r\n"))
        .beside("honest/small-requests-http1"),
    Case::refused("http1/two-hosts", "28 host", H1, |play| {
        raw(play, b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n")
    })
    .beside("honest/small-requests-http1"),
    Case::bounded("http1/h2c-with-a-body", "29", H1, h2c_with_body)
        .beside("honest/small-requests-http1"),
];

/// A wait that must end in a close.
const fn waits(
    name: &'static str,
    answers: &'static str,
    script: crate::attack::case::Script,
) -> Case {
    Case::closed(name, answers, H1, script)
        .within(4, 150)
        .limits(LOWERED)
        .beside("honest/small-requests-http1")
}

fn raw(play: &Play<'_>, bytes: &[u8]) -> Played {
    let mut peer = play.socket(Manners::Mute)?;
    peer.wire.raw(bytes);
    peer.flush();
    Ok(vec![peer])
}

fn upload(play: &Play<'_>, path: &str) -> Result<Peer, String> {
    let mut peer = play.socket(Manners::Mute)?;
    peer.request("POST", path, Fin::More, &[]);
    peer.flush();
    Ok(peer)
}

/// An upgrade whose body is HTTP/2: it is the body of the request, and no
/// request of its own.
fn h2c_with_body(play: &mut Play<'_>) -> Played {
    let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    frames.extend_from_slice(b"\0\0\x03\x01\x05\0\0\0\x03\x82\x86\x84");
    let mut peer = play.socket(Manners::Mute)?;
    peer.wire.raw(format!(
        "POST /upload HTTP/1.1\r\nhost: v\r\nconnection: upgrade, http2-settings\r\n\
         upgrade: h2c\r\nhttp2-settings: AAMAAABk\r\ncontent-length: {}\r\n\r\n",
        frames.len()
    ));
    peer.wire.raw(&frames);
    peer.flush();
    peer.wait(Duration::from_millis(500), |_| false);
    // The smuggled request has the path `/`, whose answer says hello.
    let text = String::from_utf8_lossy(&peer.seen().http1).into_owned();
    if text.contains("hello world") {
        play.fail("the body was taken for a request");
    }
    Ok(vec![peer])
}
