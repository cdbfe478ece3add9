//! Long responses to a client under test: the suite sends all of their DATA,
//! as the client's windows allow.

use bytes::{Buf as _, BytesMut};
use lacewing_client::Version;
use lacewing_conform::{Outcome, Segmentation, Target, client_cases, run};
use lacewing_frames::http2::{Encoder, HeadersHead, Kind, PREFACE, Sensitivity, flags};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    task::JoinHandle,
};

use crate::conditions;

const WINDOW: u32 = 65_535;

/// The DATA that a client received.
#[derive(Debug, Default, PartialEq, Eq)]
struct Received {
    /// Without padding.
    content: usize,
    /// The bytes for flow control since the last WINDOW_UPDATE.
    unreleased: u32,
    ended: bool,
}

impl Received {
    fn add(&mut self, flag: u8, payload: &[u8]) {
        let padding = match flag & flags::PADDED {
            0 => 0,
            _ => 1 + usize::from(payload[0]),
        };
        self.content += payload.len() - padding;
        self.unreleased += payload.len() as u32;
        self.ended |= flag & flags::END_STREAM != 0;
    }
}

/// A client that makes one request, and releases credit only when its windows
/// are almost used up: the suite has to wait for each.
fn client(mut io: DuplexStream) -> JoinHandle<Received> {
    tokio::spawn(async move {
        let mut encoder = Encoder::new();
        let (mut input, mut output) = (BytesMut::new(), BytesMut::from(&PREFACE[..]));
        encoder.settings(&mut output, &[]);
        encoder.headers(&mut output, HeadersHead::new(1, true), |block| {
            for (name, value) in [
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "localhost"),
                (":path", "/"),
            ] {
                block.field(name.as_bytes(), value.as_bytes(), Sensitivity::Normal);
            }
        });
        let mut received = Received::default();
        loop {
            while let Some((kind, flag, payload)) = next(&mut input) {
                match kind {
                    Kind::SETTINGS if flag & flags::ACK == 0 => encoder.settings_ack(&mut output),
                    Kind::DATA => received.add(flag, &payload),
                    _ => {}
                }
            }
            if received.unreleased > WINDOW - 256 {
                encoder.window_update(&mut output, 0, received.unreleased);
                encoder.window_update(&mut output, 1, received.unreleased);
                received.unreleased = 0;
            }
            if io.write_all_buf(&mut output).await.is_err()
                || !matches!(io.read_buf(&mut input).await, Ok(1..))
            {
                return received;
            }
        }
    })
}

/// Takes a frame from the input: its type, flags and payload.
fn next(input: &mut BytesMut) -> Option<(Kind, u8, BytesMut)> {
    let head = input.get(..9)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let (kind, flag) = (Kind(head[3]), head[4]);
    if input.len() < 9 + length {
        return None;
    }
    input.advance(9);
    Some((kind, flag, input.split_to(length)))
}

async fn received(id: &str) -> Received {
    let cases = client_cases(Version::Http2);
    let case = cases.iter().find(|case| case.id() == id).unwrap();
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let client = client(theirs);
    let target = Target::new("http", "localhost");
    let outcome = run(case, ours, &target, &conditions(Segmentation::Whole)).await;
    assert_eq!(outcome, Outcome::Passed);
    client.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_receives_the_whole_content() {
    let received = received("6.9/4").await;
    assert_eq!((received.content, received.ended), (4 << 20, true));
}

#[tokio::test(start_paused = true)]
async fn a_client_receives_every_padded_frame() {
    let received = received("6.9.1/3").await;
    assert_eq!((received.content, received.ended), (1_000, true));
}
