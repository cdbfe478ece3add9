//! The values that the crate parses by itself.

use http::{HeaderMap, HeaderName, HeaderValue};
use lacewing_kube::{
    CommandStreams, PortForwardProtocol, RemoteCommandProtocol, StatusCollector, StreamHeaders,
    TerminalSizeDecoder, WebSocketProtocol,
};

/// The most bytes of a status, as in a session with a small bound.
const MAX_STATUS: usize = 256;

/// Terminal sizes, a status, header fields and a query: the first byte is the length of the
/// pieces that the input is cut into.
pub fn values(input: &[u8]) {
    let Some((cut, input)) = input.split_first() else {
        return;
    };
    let pieces = || input.chunks(usize::from(*cut).max(1));
    sizes(pieces());
    for protocol in RemoteCommandProtocol::ALL {
        status(protocol, input, pieces());
    }
    let text = String::from_utf8_lossy(input);
    let query = CommandStreams::from_query(&text).to_query();
    assert_eq!(CommandStreams::from_query(&query).to_query(), query);
    headers(&text);
}

fn sizes<'a>(pieces: impl Iterator<Item = &'a [u8]>) {
    let mut decoder = TerminalSizeDecoder::new();
    for piece in pieces {
        if let Some(size) = decoder.push(piece) {
            let again = TerminalSizeDecoder::new().push(&size.encode());
            assert_eq!(again, Some(size));
        }
    }
}

/// The cuts change nothing, and an outcome survives the wire.
fn status<'a>(
    protocol: RemoteCommandProtocol,
    input: &[u8],
    pieces: impl Iterator<Item = &'a [u8]>,
) {
    let collect = |pieces: &mut dyn Iterator<Item = &'a [u8]>| {
        let mut collector = StatusCollector::new(protocol, MAX_STATUS);
        pieces.for_each(|piece| collector.push(piece));
        collector.finish()
    };
    let mut pieces = pieces;
    let in_pieces = collect(&mut pieces);
    let mut whole = StatusCollector::new(protocol, MAX_STATUS);
    whole.push(input);
    let whole = whole.finish();
    assert_eq!(format!("{in_pieces:?}"), format!("{whole:?}"));
    if let Ok(outcome) = whole {
        let encoded = outcome.encode(protocol);
        assert!(lacewing_kube::CommandOutcome::decode(protocol, &encoded).is_ok());
    }
}

/// Lines of `name: value`.
fn headers(text: &str) {
    let mut map = HeaderMap::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        let name = name.parse::<HeaderName>();
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            map.append(name, value);
        }
    }
    let parsed = [
        StreamHeaders::parse_command(&map).ok(),
        StreamHeaders::parse_forward(&map).ok(),
    ];
    for headers in parsed.into_iter().flatten() {
        assert!(headers.to_map().is_some());
    }
    let _ = RemoteCommandProtocol::negotiate(&map, &RemoteCommandProtocol::ALL);
    let _ = PortForwardProtocol::negotiate(&map);
    let _ = WebSocketProtocol::negotiate(&map, &WebSocketProtocol::CHANNELS);
}
