//! SPDY/3.1's window of the session, which a server in cleartext cannot know at once.

use bytes::BytesMut;
use lacewing_client::Version;
use lacewing_conform::{Outcome, Segmentation, Target, run, server_cases};
use lacewing_frames::spdy::{Compression, Encoder, WireVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::{conditions, spdy::frame};

/// Raises the windows of streams, and never credits the session.
const BEFORE_CREDIT: &str = "every id that a client may send is accepted";
/// Raises the windows of streams too, and credits the session before its requests.
const AFTER_CREDIT: &str = "the session's window holds for all its streams together";

/// A server whose responses obey the windows of streams, and exceed the session's.
fn greedy() -> DuplexStream {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let mut encoder = Encoder::new(WireVersion::V3, Compression::default());
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        loop {
            while let Some(frame) = frame(&mut input) {
                // The type of a control frame is in its third and fourth byte.
                match frame[..4] {
                    [0x80, _, 0, 1] => {
                        let id = u32::from_be_bytes([frame[8], frame[9], frame[10], frame[11]]);
                        let reply = encoder.syn_reply(&mut output, id, false, |block| {
                            for (name, value) in [(":status", "200"), (":version", "HTTP/1.1")] {
                                block.field(name.as_bytes(), [value.as_bytes()]);
                            }
                        });
                        reply.unwrap();
                        for last in [false, false, false, false, true] {
                            encoder.data_head(&mut output, id, 16_384, last);
                            output.extend_from_slice(&[b'x'; 16_384]);
                        }
                    }
                    [0x80, _, 0, 6] => output.extend_from_slice(&frame),
                    _ => {}
                }
            }
            if theirs.write_all_buf(&mut output).await.is_err()
                || !matches!(theirs.read_buf(&mut input).await, Ok(1..))
            {
                return;
            }
        }
    });
    ours
}

/// The outcome of the greedy server in the case with this title.
async fn outcome(scheme: &str, title: &str) -> Outcome {
    let mut target = Target::new(scheme, "localhost").version(Version::Spdy31);
    target.abilities.large_content = 5 * 16_384;
    let cases = server_cases(&target);
    let case = cases.iter().find(|case| case.title() == title).unwrap();
    run(case, greedy(), &target, &conditions(Segmentation::Whole)).await
}

#[tokio::test(start_paused = true)]
async fn in_cleartext_it_binds_a_server_from_the_first_credit() {
    assert_eq!(outcome("http", BEFORE_CREDIT).await, Outcome::Passed);
    for (scheme, title) in [
        ("http", AFTER_CREDIT),
        ("https", AFTER_CREDIT),
        ("https", BEFORE_CREDIT),
    ] {
        let Outcome::Failed(failure) = outcome(scheme, title).await else {
            panic!("{scheme}, {title}: not reported");
        };
        let got = failure.got;
        assert!(
            got.contains("beyond the connection's window"),
            "{scheme}: {got}"
        );
    }
}
