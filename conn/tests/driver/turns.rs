//! The number of polls, reads and writes of the task.

use std::time::Duration;

use http::HeaderMap;
use http_body_util::BodyExt;
use lacewing_conn::{Initiator, Version, driver::OpenOptions, proto::Semantics};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn head_and_first_data_leave_in_one_write() {
    for version in Version::ALL {
        for vectored in [true, false] {
            let (here, there) = duplex(64 << 10);
            let (mux, _task) = mux(version, here);
            let served = serve_by(version, Semantics::Raw, there, 2000, vectored);
            settle().await;
            let before = served.counters.writes();
            let options = OpenOptions::default().with(|options| options.fin = true);
            let mut stream = soon(mux.open(HeaderMap::new(), options)).await.unwrap();
            assert_eq!(read(&mut stream).await.len(), 2000);
            let writes = served.counters.writes() - before;
            assert_eq!(writes, 1, "{version}, vectored {vectored}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_replies_leave_in_few_writes() {
    for version in Version::ALL {
        for vectored in [true, false] {
            let (here, there) = duplex(64 << 10);
            let (mux, _task) = mux(version, here);
            let served = serve_by(version, Semantics::Raw, there, 100, vectored);
            settle().await;
            let (writes, polls) = (served.counters.writes(), served.counters.polls());
            let options = OpenOptions::default().with(|options| options.fin = true);
            let mut asking = Vec::new();
            for _ in 0..100 {
                let mux = mux.clone();
                asking.push(tokio::spawn(async move {
                    let mut stream = mux.open(HeaderMap::new(), options).await.unwrap();
                    assert_eq!(read(&mut stream).await.len(), 100);
                }));
            }
            for asking in asking {
                soon(asking).await.unwrap();
            }
            let writes = served.counters.writes() - writes;
            let polls = served.counters.polls() - polls;
            assert!(writes <= 4, "{version}: {writes} writes for 100 replies");
            assert!(polls <= 10, "{version}: {polls} polls for 100 requests");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_nothing_to_do_sleeps() {
    for version in Version::ALL {
        let (here, there) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let served = serve(version, Semantics::Raw, there, 100);
        let options = OpenOptions::default().with(|options| options.fin = true);
        let mut stream = soon(mux.open(HeaderMap::new(), options)).await.unwrap();
        read(&mut stream).await;
        settle().await;
        assert!(
            served.counters.polls() < 12,
            "{version}: {} polls",
            served.counters.polls()
        );
        // Timers from the start may fire once.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let before = served.counters.polls();
        tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
        assert_eq!(
            served.counters.polls(),
            before,
            "{version}: polled without need"
        );
    }
}

/// A peer that reads nothing: the task waits for it, and does not spin.
#[tokio::test(start_paused = true)]
async fn a_blocked_transport_is_waited_for() {
    for version in Version::ALL {
        let (mut peer, there) = duplex(100);
        let served = serve(version, Semantics::Raw, there, 100_000);
        // A client's first bytes and its request, without any read.
        let (here, mut client_io) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let options = OpenOptions::default().with(|options| options.fin = true);
        let opening = tokio::spawn(async move { mux.open(HeaderMap::new(), options).await });
        let mut bytes = vec![0; 4096];
        settle().await;
        let len = client_io.read(&mut bytes).await.unwrap();
        peer.write_all(&bytes[..len]).await.unwrap();
        opening.await.unwrap().unwrap();
        settle().await;
        // The codec of SPDY rests after a moment without a stream.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = served.counters.polls();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(served.counters.polls(), before, "{version}");
        // The driver ends a transport that accepts nothing for write_stall_timeout.
        let error = soon(served.task).await.unwrap().unwrap_err();
        assert_eq!(error.initiator(), Initiator::Library, "{version}: {error}");
    }
}

/// To read data that has already arrived does not wake the connection's task.
#[tokio::test(start_paused = true)]
async fn a_reader_wakes_the_task_only_to_give_much_back() {
    for version in Version::ALL {
        let (here, there) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let mut served = serve(version, Semantics::Raw, there, 0);
        let stream = soon(mux.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let (_reader, mut writer) = stream.into_split();
        let (_, mut body) = served.request().await;
        soon(writer.write_all(&[7; 200_000])).await.unwrap();
        settle().await;
        let before = served.counters.polls();
        let mut got = 0;
        while got < 200_000 {
            got += soon(body.frame())
                .await
                .unwrap()
                .unwrap()
                .into_data()
                .unwrap()
                .len();
        }
        settle().await;
        assert_eq!(served.counters.polls(), before, "{version}");

        // A whole megabyte, in a stream window of the same size.
        for _ in 0..10 {
            soon(writer.write_all(&[7; 100_000])).await.unwrap();
            settle().await;
            let mut got = 0;
            while got < 100_000 {
                got += soon(body.frame())
                    .await
                    .unwrap()
                    .unwrap()
                    .into_data()
                    .unwrap()
                    .len();
            }
        }
    }
}
