//! Tests clients: each connection of a client runs one case.

mod listener;

use std::{net::SocketAddr, time::Duration};

use lacewing_conform::{Outcome, Report, Target, client_cases, run as run_case};
use tokio::time::timeout;

use crate::{args::Conform, console, status::Failure};

use listener::ClientListener;

/// After this many timeouts in a row the remaining cases do not wait.
const MISSED: u32 = 3;

/// Accepts connections, and runs one case on each.
pub(super) async fn run(args: &Conform, address: SocketAddr) -> Result<Report, Failure> {
    let listener = ClientListener::bind(address, args.tls.then_some(args.protocol)).await?;
    let cases = super::chosen(args, client_cases(args.protocol));
    console::note(format_args!(
        "waiting for clients on {}, one connection for each of {} cases",
        listener.url(),
        cases.len()
    ));
    let conditions = super::conditions(args);
    // Only cases for servers use it.
    let target = Target::new("http", listener.address().to_string());
    let mut report = super::report("clients");
    let mut missed = 0_u32;
    for case in cases {
        let patience = match missed {
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
                Outcome::Skipped("no client connected in time".into())
            }
        };
        super::report_case(args, &case, &outcome);
        report.add(&case, outcome);
    }
    Ok(report)
}
