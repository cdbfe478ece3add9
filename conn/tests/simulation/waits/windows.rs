//! Windows that stay empty, and transports that accept too little.

use bytes::{Buf, Bytes};
use http::StatusCode;
use lacewing_conn::{
    Reason, Version,
    proto::{Head, Pressure, Rule},
};

use super::*;
use crate::pair::every_version;

#[test]
fn a_player_that_is_paused_for_five_minutes_goes_on() {
    for version in [Version::Spdy3, Version::Spdy31, Version::Http2] {
        let (mut victim, mut peer) = server(version);
        peer.request(1, true, &[]);
        victim.take(&mut peer);
        let stream = opened(&victim)[0];
        reply_endlessly(&mut victim, stream);
        assert!(pump(&mut victim) > 60_000, "{version}");
        for _ in 0..3 {
            pass(&mut victim, MINUTE * 5);
            peer.window_update(1, 30_000);
            if version != Version::Spdy3 {
                peer.window_update(0, 30_000);
            }
            victim.take(&mut peer);
            assert_eq!(pump(&mut victim), 30_000, "{version}");
        }
        assert_eq!(resets(&victim), [], "{version}");
        assert_eq!(closed(&victim), None, "{version}");
    }
}

/// Slow reading by windows: 0 forever, or one byte each five seconds.
#[test]
fn data_that_is_not_taken_ends_its_stream() {
    for version in [Version::Spdy3, Version::Spdy31, Version::Http2] {
        for (streams, drip, bound) in [
            (1, false, 600),
            (1, true, 60),
            (40, false, 60),
            (40, true, 60),
        ] {
            let what = format!("{version} {streams} {drip}");
            let (mut victim, mut peer) = server(version);
            peer.initial_window(0);
            if version == Version::Http2 {
                peer.settings_ack();
            }
            peer.bytes.clear();
            peer.initial_window(0);
            for n in 0..streams {
                peer.request(2 * n + 1, true, &[]);
            }
            victim.take(&mut peer);
            for stream in opened(&victim) {
                reply_endlessly(&mut victim, stream);
            }
            pump(&mut victim);
            let mut seconds = 0;
            while resets(&victim).is_empty() && seconds < 1000 {
                pass(&mut victim, SECOND * 5);
                seconds += 5;
                for n in (0..streams).filter(|_| drip) {
                    peer.window_update(2 * n + 1, 1);
                }
                victim.take(&mut peer);
                pump(&mut victim);
            }
            let within = (bound..=bound + 20).contains(&seconds);
            assert!(within, "{what}: after {seconds} s");
            let resets = resets(&victim);
            assert_eq!(resets.len(), streams as usize, "{what}");
            let (rule, reason, text) = &resets[0];
            assert_eq!(
                (*rule, *reason),
                (Rule::SendStall, Reason::Cancel),
                "{what}"
            );
            assert!(text.contains("stall_timeout"), "{text}");
            assert_eq!(closed(&victim), None, "{what}");
        }
    }
}

/// A single response that its reader takes in drips ends within the strict bound. One
/// that is paused, or read in pieces as a receiver releases them, continues.
#[test]
fn a_window_that_drips_is_not_a_player_that_is_paused() {
    for version in [Version::Spdy3, Version::Spdy31, Version::Http2] {
        for (piece, every, ends) in [
            (1, 5, true),
            (1, 15, true),
            (500, 10, true),
            (1_000, 10, true),
            (64, 1, true),
            // A slow terminal or download: `min_rate` and more.
            (2_000, 5, false),
            (300, 1, false),
            // A player that buffers in steps, and one that is paused for minutes.
            (16_384, 50, false),
            (30_000, 300, false),
            (8_192, 60, false),
        ] {
            let what = format!("{version} {piece} each {every} s");
            let (mut victim, mut peer) = server(version);
            peer.request(1, true, &[]);
            victim.take(&mut peer);
            let stream = opened(&victim)[0];
            reply_endlessly(&mut victim, stream);
            pump(&mut victim);
            let mut seconds: u32 = 0;
            while resets(&victim).is_empty() && seconds < 1200 {
                pass(&mut victim, SECOND * every);
                seconds += every;
                peer.window_update(1, piece);
                if version != Version::Spdy3 {
                    peer.window_update(0, piece);
                }
                victim.take(&mut peer);
                pump(&mut victim);
                if closed(&victim).is_some() {
                    break;
                }
            }
            let ended = closed(&victim).is_some() || !resets(&victim).is_empty();
            assert_eq!(ended, ends, "{what}: after {seconds} s");
            assert!(
                !ends || (60..=100).contains(&seconds),
                "{what}: after {seconds} s"
            );
        }
    }
}

/// A tunnel's peer reads as slowly as its user does.
#[test]
fn a_tunnel_may_drip() {
    let (mut victim, mut peer) = server(Version::Http2);
    let fields = [(":method", "CONNECT"), (":authority", "example.org:443")];
    peer.open(1, false, &fields);
    victim.take(&mut peer);
    let stream = opened(&victim)[0];
    reply_endlessly(&mut victim, stream);
    pump(&mut victim);
    for _ in 0..300 {
        pass(&mut victim, SECOND * 5);
        peer.window_update(1, 1);
        peer.window_update(0, 1);
        victim.take(&mut peer);
        pump(&mut victim);
    }
    assert_eq!((resets(&victim), closed(&victim)), (vec![], None));
}

/// A resource of the process is scarce: one stream is enough.
#[test]
fn under_pressure_one_stalled_stream_ends() {
    for version in [Version::Spdy3, Version::Spdy31, Version::Http2] {
        let (mut victim, mut peer) = server(version);
        victim.engine.set_pressure(Pressure::High);
        peer.request(1, true, &[]);
        victim.take(&mut peer);
        let stream = opened(&victim)[0];
        reply_endlessly(&mut victim, stream);
        pump(&mut victim);
        pass(&mut victim, SECOND * 75);
        let connection = closed(&victim) == Some(Rule::ConnectionStall);
        let stream = resets(&victim)
            .iter()
            .any(|reset| reset.0 == Rule::SendStall);
        assert!(connection || stream, "{version}: {:?}", victim.events);
    }
}

/// The connection's window stays empty: the connection ends.
#[test]
fn an_exhausted_connection_window_ends_the_connection() {
    for version in [Version::Spdy31, Version::Http2] {
        for (streams, drip, bound) in [(2, false, 600), (2, true, 60), (40, false, 60)] {
            let (mut victim, mut peer) = server(version);
            peer.initial_window(1 << 20);
            for n in 0..streams {
                peer.request(2 * n + 1, true, &[]);
            }
            victim.take(&mut peer);
            for stream in opened(&victim) {
                reply_endlessly(&mut victim, stream);
            }
            pump(&mut victim);
            let mut seconds = 0;
            while closed(&victim).is_none() && seconds < 1000 {
                pass(&mut victim, SECOND * 5);
                seconds += 5;
                if drip && closed(&victim).is_none() {
                    peer.window_update(0, 1);
                    victim.take(&mut peer);
                    pump(&mut victim);
                }
            }
            assert_eq!(closed(&victim), Some(Rule::ConnectionStall), "{version}");
            let within = (bound..=bound + 25).contains(&seconds);
            assert!(within, "{version} {streams} {drip}: after {seconds} s");
            assert_eq!(victim.engine.open_streams(), 0);
        }
    }
}

/// 1 KiB of TCP each ten seconds does not keep a response alive; 2 kB/s does.
#[test]
fn a_transport_that_takes_too_little_is_given_up() {
    every_version(|version| {
        for (piece, every, lives) in [
            (1024, 10, false),
            (1, 1, false),
            (2_000, 1, true),
            (20_000, 25, true),
        ] {
            let (mut victim, mut peer) = server(version);
            peer.initial_window(1 << 20);
            peer.request(1, true, &[]);
            victim.take(&mut peer);
            let stream = opened(&victim)[0];
            victim.flush();
            let now = victim.now;
            let mut handle = victim.engine.stream(now, stream);
            handle.reply(Head::response(StatusCode::OK), false).unwrap();
            handle
                .send_data(Bytes::from(vec![0; 60_000]), false)
                .unwrap();
            let mut seconds = 0;
            while closed(&victim).is_none() && seconds < 200 {
                victim.engine.poll_transmit(victim.now);
                let end = victim.now + SECOND * every;
                while let Some(due) = victim.engine.poll_timeout().filter(|due| *due <= end) {
                    victim.now = due;
                    victim.engine.handle_timeout(due);
                    victim.poll();
                }
                victim.now = end;
                seconds += every;
                // The peer always has something to send.
                peer.settings();
                victim.take(&mut peer);
                let len = victim.engine.output().remaining().min(piece);
                victim.engine.output().advance(len);
            }
            let expected = (!lives).then_some(Rule::WriteStall);
            assert_eq!(
                closed(&victim),
                expected,
                "{version} {piece} each {every} s"
            );
        }
    });
}
