//! Clients under test.

use std::{net::SocketAddr, time::Duration};

use lacewing_client::conform::{Outcome, Report, Target, client_cases, run as run_case};
use tokio::{net::TcpListener, time::timeout};

use crate::{args::Conform, status::Failure};

/// So many times in a row no client came: none will.
const MISSED: u32 = 3;

/// Waits for clients, and runs one case on each connection that comes.
pub(super) async fn run(args: &Conform, address: SocketAddr) -> Result<Report, Failure> {
    let failed = |error| Failure::local(format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let cases = super::chosen(args, client_cases(args.protocol));
    eprintln!(
        "lacewing: waiting for clients on http://{address}/, one connection for each of {} cases",
        cases.len()
    );
    let conditions = super::conditions(args);
    // Of use for servers only.
    let target = Target::new("http", address.to_string());
    let mut report = super::report("clients");
    let mut missed = 0_u32;
    for case in cases {
        let accepted = match missed {
            // Whoever made connections is gone.
            MISSED.. => timeout(Duration::ZERO, listener.accept()).await,
            _ => timeout(args.patience, listener.accept()).await,
        };
        let outcome = match accepted {
            Ok(Ok((stream, _))) => {
                missed = 0;
                // A frame must not wait for the acknowledgement of another.
                let _ = stream.set_nodelay(true);
                run_case(&case, stream, &target, &conditions).await
            }
            Ok(Err(error)) => return Err(failed(error)),
            Err(_) => {
                missed = missed.saturating_add(1);
                Outcome::Skipped("no client came".into())
            }
        };
        super::tell(args, &case, &outcome);
        report.add(&case, outcome);
    }
    Ok(report)
}
