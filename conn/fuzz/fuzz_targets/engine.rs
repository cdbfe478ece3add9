//! Any bytes to an engine of any protocol and either side, with answers that
//! the bytes choose: no panic, bounded output, and after the end silence.

#![no_main]

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode};
use lacewing_conn::{
    Reason, Side, Version,
    proto::{ServerPush, Config, Engine, Event, Head, OpenOptions, Transmit},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (choice, piece, answers, bytes) = input;
    let version = Version::ALL[usize::from(choice) % Version::ALL.len()];
    let side = if choice & 0x80 == 0 { Side::Server } else { Side::Client };
    let mut config = Config::new(version, side);
    if choice & 0x40 != 0 {
        config.push = ServerPush::Accept;
    }
    let mut now = Instant::now();
    let mut engine = Engine::new(config, now, 1);
    if side == Side::Client {
        for _ in 0..3 {
            let uri = "https://example.org/".parse().expect("a URI");
            let _ = engine.open(now, Head::request(Method::POST, uri), OpenOptions::default());
        }
    }
    let mut received = BytesMut::new();
    let mut ended = false;
    for bytes in bytes.chunks(usize::from(piece).max(1)) {
        received.extend_from_slice(bytes);
        while let Some(event) = engine.poll_event(now, &mut received) {
            assert!(!ended, "an event after the end");
            match event {
                Event::Opened { stream, .. } if answers & 1 != 0 => {
                    let _ = engine.stream(now, stream).reply(Head::response(StatusCode::OK), answers & 2 != 0);
                    let _ = engine.stream(now, stream).send_data(Bytes::from_static(&[0; 5000]), true);
                }
                Event::Opened { stream, .. } if answers & 4 != 0 => {
                    engine.stream(now, stream).reset(Reason::Cancel);
                }
                Event::Data { stream, data, .. } if answers & 8 != 0 => {
                    engine.stream(now, stream).release(data.len());
                }
                Event::Data { stream, .. } if answers & 16 != 0 => engine.stream(now, stream).abandon(),
                Event::Closed { .. } => ended = true,
                _ => {}
            }
        }
        while let Transmit::Pull { .. } = engine.poll_transmit(now) {}
        let output = engine.output();
        assert!(output.remaining() < 4 << 20, "unbounded output");
        let len = output.remaining();
        output.advance(len);
        now += Duration::from_millis(1);
    }
    engine.handle_eof(now);
    while engine.poll_event(now, &mut received).is_some() {}
    // What came whole may be answered until then.
    now += engine.limits().drain_timeout;
    engine.handle_timeout(now);
    while engine.poll_event(now, &mut received).is_some() {}
    assert!(engine.is_closed());
});
