//! Tests a server.

use std::time::Duration;

use http::Uri;
use lacewing_client::{Connect as _, Connector, Origin, Security, Transport, Trust, tls::Tls};
use lacewing_conform::{Outcome, Report, Target, run as run_case, server_cases};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    args::Conform,
    console,
    status::{Failure, TIME},
};

/// The pause between two attempts to connect again.
const PAUSE: Duration = Duration::from_millis(50);

/// The begin of the line about a server that closes, which is no frame.
const CLOSED: &str = "< the end of the connection";

/// Probes the server, then runs each case on a connection of its own.
pub(super) async fn run(args: &Conform, url: &Uri) -> Result<Report, Failure> {
    let origin = Origin::of(url).map_err(Failure::usage)?;
    let trust = match args.insecure {
        true => Trust::DangerAcceptAny,
        false => Trust::Roots,
    };
    let tls = Tls::with_trust(trust, vec![args.protocol]);
    let connector = Connector::tls(tls, Some(args.protocol));
    let connect = async || -> Result<Box<dyn Transport>, Failure> {
        let connected = timeout(args.timeout, connector.connect(&origin)).await;
        let silent = |_| {
            let text = format!("{url}: no connection within {:?} (--timeout)", args.timeout);
            Failure::new(TIME, text).passing(None)
        };
        connected
            .map_err(silent)?
            .map(|connected| connected.io)
            .map_err(|error| Failure::request(url, &error, trust))
    };

    let conditions = super::conditions(args);
    let mut target = target(args, url, &origin);
    let seen = target.probe(connect().await?, &conditions).await;
    if !target.abilities.answers {
        let protocol = args.protocol.alpn();
        let is_frame = |line: &str| line.starts_with('<') && !line.starts_with(CLOSED);
        match seen.iter().any(|line| is_frame(line)) {
            true => console::note(format_args!(
                "{url} does not answer GET with 2xx, so cases that need a response fail or are \
                 skipped; the frames of this attempt:"
            )),
            false => console::note(format_args!(
                "{url} sends nothing in {protocol}, so most cases fail; does it speak {protocol} \
                 there? (--protocol chooses another one.) The frames of this attempt:"
            )),
        }
        for line in seen {
            console::eprint(format_args!("  {line}\n"));
        }
    }
    let mut report = super::report(url);
    let mut transport = Some(connect().await?);
    for case in super::chosen(args, server_cases(&target)) {
        let mut outcome = match transport.take() {
            Some(transport) => run_case(&case, transport, &target, &conditions).await,
            None => Outcome::Skipped("the server no longer accepts connections".into()),
        };
        transport = match (&outcome, connect().await) {
            (_, Ok(next)) => Some(next),
            (Outcome::Skipped(_), Err(_)) => None,
            // No frame may stop a server.
            (_, Err(error)) => {
                outcome = Outcome::Failed(lacewing_conform::Failure::new(
                    "a server that still accepts connections",
                    error.message().unwrap_or("no connection"),
                ));
                reconnect(args.patience, &connect).await
            }
        };
        super::report_case(args, &case, &outcome);
        report.add(&case, outcome);
    }
    Ok(report)
}

/// Waits for a supervisor to start the server again, and connects.
async fn reconnect<T>(
    patience: Duration,
    connect: &impl AsyncFn() -> Result<T, Failure>,
) -> Option<T> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        sleep(PAUSE).await;
        if let Ok(transport) = connect().await {
            return Some(transport);
        }
    }
    None
}

fn target(args: &Conform, url: &Uri, origin: &Origin) -> Target {
    let scheme = match origin.security() {
        Security::Tls => "https",
        Security::Cleartext => "http",
    };
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut target = Target::new(scheme, authority).version(args.protocol);
    target.large_path = args.large_path.clone().unwrap_or_else(|| path.to_owned());
    target.post_path = args.post_path.clone().unwrap_or_else(|| path.to_owned());
    target.path = path.to_owned();
    target
}
