//! Lacewing's HTTP/2 client against the scripted peer.

use lacewing_client::Version;
use lacewing_conform::{Report, Segmentation, Target, client_cases, run};

use crate::{conditions, filter, requests};

async fn check(segmentation: Segmentation) {
    let conditions = conditions(segmentation);
    let target = Target::new("http", "localhost");
    let mut report = Report::new(format!("our client, {segmentation:?}"));
    for case in client_cases(Version::Http2) {
        if filter().admits(&case) {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            requests::make(&case, theirs);
            let outcome = run(&case, ours, &target, &conditions).await;
            report.add(&case, outcome);
        }
    }
    assert!(report.is_success(), "{report}");
    assert_eq!(report.skipped(), 0, "{report}");
}

#[tokio::test(start_paused = true)]
async fn whole_frames() {
    for _ in 0..3 {
        check(Segmentation::Whole).await;
    }
}

#[tokio::test(start_paused = true)]
async fn single_bytes() {
    check(Segmentation::Bytes).await;
}
