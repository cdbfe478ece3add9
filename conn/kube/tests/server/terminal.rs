//! The sizes of the client's terminal.

use lacewing_kube::{CommandOutcome, TerminalSize};

use crate::*;

const TTY: &str = "stdin=true&stdout=true&tty=true";

fn size(width: u16, height: u16) -> Option<TerminalSize> {
    Some(TerminalSize { width, height })
}

#[tokio::test(start_paused = true)]
async fn sizes_arrive_as_they_change() {
    let kinds = ["error", "stdin", "stdout", "resize"];
    let (mut session, mut client) = session(TTY, &kinds).await;
    assert!(session.stderr.is_none());
    let mut sizes = session.sizes.take().unwrap();
    assert_eq!(sizes.current(), None);
    client.data(7, b"{\"Width\":80,\"Hei", false).await;
    client.data(7, b"ght\":24}\n", false).await;
    assert_eq!(soon(sizes.next()).await, size(80, 24));
    // Garbage between, and only the newest of many.
    client.data(7, b"garbage{\"Width\":0,\"Height\":1}{\"width\":1,\"height\":2}{\"Width\":100,\"Height\":30}", false).await;
    assert_eq!(soon(sizes.next()).await, size(100, 30));
    assert_eq!(sizes.current(), size(100, 30));
    let finished = tokio::spawn(session.finish(CommandOutcome::Success));
    // The stream of the sizes does not delay the end.
    to_the_end(&mut client).await;
    soon(finished).await.unwrap().unwrap();
    assert_eq!(soon(sizes.next()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_sizes_has_a_session_nevertheless() {
    let offer = CommandOffer::new(CommandStreams::from_query(TTY));
    let (starting, mut client) = start(&offer, "v4.channel.k8s.io");
    open(&mut client, &["error", "stdin", "stdout"]).await;
    let mut session = soon(starting).await.unwrap().unwrap();
    let mut sizes = session.sizes.take().unwrap();
    // A late stream counts.
    client.open(7, &[("streamtype", "resize")]).await;
    soon(client.expect_reply(7)).await;
    client.data(7, b"{\"Width\":80,\"Height\":24}", false).await;
    assert_eq!(soon(sizes.next()).await, size(80, 24));
}

/// The first versions have no stream for them, and do not wait for one.
#[tokio::test(start_paused = true)]
async fn the_first_versions_have_no_sizes() {
    let offer = CommandOffer::new(CommandStreams::from_query(TTY));
    for protocol in ["channel.k8s.io", "v2.channel.k8s.io"] {
        let start = tokio::time::Instant::now();
        let session = session_of(&offer, protocol, &["error", "stdin", "stdout"]).await;
        assert!(start.elapsed() < Duration::from_secs(1));
        drop(session);
    }
}
