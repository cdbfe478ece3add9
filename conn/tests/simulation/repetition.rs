//! Messages that occur again and again: their header lists are the same each time, whatever the
//! decoder remembers of them.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use lacewing_conn::{
    Side,
    proto::{Config, Engine, Event, Head, OpenOptions, Transmit},
};

use crate::pair::every_version;

pub(crate) fn transmit(from: &mut Engine, now: Instant, to: &mut BytesMut) {
    loop {
        let transmit = from.poll_transmit(now);
        let length = from.output().remaining();
        to.extend_from_slice(&from.output().copy_to_bytes(length));
        if transmit == Transmit::Idle {
            return;
        }
    }
}

fn events(engine: &mut Engine, now: Instant, input: &mut BytesMut) -> Vec<Event> {
    std::iter::from_fn(|| engine.poll_event(now, input)).collect()
}

/// The same head with so many regular fields.
fn with_fields(mut head: Head, count: usize) -> Head {
    for number in 0..count {
        let name = HeaderName::try_from(format!("x-field-{number}")).unwrap();
        head.fields.insert(name, HeaderValue::from_static("gzip"));
    }
    head
}

#[test]
fn heads_of_every_length_are_whole_each_time() {
    every_version(|version| {
        for count in 0..16 {
            let mut now = Instant::now();
            let mut client = Engine::new(Config::new(version, Side::Client), now, 1);
            let mut server = Engine::new(Config::new(version, Side::Server), now, 2);
            let (mut to_client, mut to_server) = (BytesMut::new(), BytesMut::new());
            let uri = http::Uri::from_static("http://localhost/path");
            let request = with_fields(Head::request(Method::GET, uri), count);
            let response = with_fields(Head::response(StatusCode::OK), count);
            for round in 0..6 {
                now += Duration::from_secs(1);
                let told = format!("{version}, {count} fields, round {round}");
                let options = OpenOptions::without_content();
                client.open(now, request.clone(), options).unwrap();
                transmit(&mut client, now, &mut to_server);
                let mut answered = 0;
                for event in events(&mut server, now, &mut to_server) {
                    if let Event::Opened { stream, head, .. } = event {
                        assert_eq!(head.fields, request.fields, "{told}");
                        let mut stream = server.stream(now, stream);
                        stream.reply(response.clone(), true).unwrap();
                        answered += 1;
                    }
                }
                assert_eq!(answered, 1, "{told}");
                transmit(&mut server, now, &mut to_client);
                let heads = events(&mut client, now, &mut to_client);
                let heads = heads.into_iter().filter_map(|event| match event {
                    Event::Reply { head, .. } => Some(head.fields),
                    Event::Reset { error, .. } => panic!("{told}: {error}"),
                    _ => None,
                });
                assert_eq!(
                    heads.collect::<Vec<_>>(),
                    std::slice::from_ref(&response.fields),
                    "{told}"
                );
            }
        }
    });
}
