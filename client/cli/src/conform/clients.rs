//! Clients under test.

mod listener;

use std::{net::SocketAddr, time::Duration};

use lacewing_conform::{Outcome, Report, Target, client_cases, run as run_case};
use tokio::time::timeout;

use crate::{args::Conform, console, status::Failure};

use listener::ClientListener;

/// So many times in a row no client came: none will.
const MISSED: u32 = 3;

/// Waits for clients, and runs one case on each connection that comes.
pub(super) async fn run(args: &Conform, address: SocketAddr) -> Result<Report, Failure> {
    let listener = ClientListener::bind(address, args.tls.then_some(args.protocol)).await?;
    let cases = super::chosen(args, client_cases(args.protocol));
    console::note(format_args!(
        "waiting for clients on {}, one connection for each of {} cases",
        listener.url(),
        cases.len()
    ));
    let conditions = super::conditions(args);
    // Of use for servers only.
    let target = Target::new("http", listener.address().to_string());
    let mut report = super::report("clients");
    let mut missed = 0_u32;
    for case in cases {
        let patience = match missed {
            // Whoever made connections is gone.
            MISSED.. => Duration::ZERO,
            _ => args.patience,
        };
        let outcome = match timeout(patience, listener.accept()).await {
            Ok(transport) => {
                missed = 0;
                run_case(&case, transport?, &target, &conditions).await
            }
            Err(_) => {
                missed = missed.saturating_add(1);
                Outcome::Skipped("no client came".into())
            }
        };
        super::report_case(args, &case, &outcome);
        report.add(&case, outcome);
    }
    Ok(report)
}
