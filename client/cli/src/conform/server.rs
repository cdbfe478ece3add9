//! A server under test.

use std::time::Duration;

use http::Uri;
use lacewing_client::{Connect as _, Connector, Origin, Security, Transport, Trust, tls::Tls};
use lacewing_conform::{Outcome, Report, Target, run as run_case, server_cases};
use tokio::time::{Instant, sleep};

use crate::{args::Conform, console, status::Failure};

/// How long to wait before a server that is gone is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs the cases one after the other, each on a connection of its own.
pub(super) async fn run(args: &Conform, url: &Uri) -> Result<Report, Failure> {
    let origin = Origin::of(url).map_err(Failure::usage)?;
    let trust = match args.insecure {
        true => Trust::Anyone,
        false => Trust::Roots,
    };
    let tls = Tls::with_trust(trust, vec![args.protocol]);
    let connector = Connector::tls(tls, Some(args.protocol));
    let connect = async || -> Result<Box<dyn Transport>, Failure> {
        let connected = connector.connect(&origin).await;
        connected
            .map(|connected| connected.io)
            .map_err(|error| Failure::request(url, &error, trust))
    };

    let conditions = super::conditions(args);
    let mut target = target(args, url, &origin);
    let seen = target.probe(connect().await?, &conditions).await;
    if !target.abilities.answers {
        console::note(format_args!(
            "{url} does not answer GET with 2xx, so that little can be tested; its frames:"
        ));
        for line in seen {
            console::note_as_is(format_args!("  {line}\n"));
        }
    }
    let mut report = super::report(url);
    let mut transport = Some(connect().await?);
    for case in super::chosen(args, server_cases(&target)) {
        let mut outcome = match transport.take() {
            Some(transport) => run_case(&case, transport, &target, &conditions).await,
            None => Outcome::Skipped("the server is gone".into()),
        };
        transport = match (&outcome, connect().await) {
            (_, Ok(next)) => Some(next),
            (Outcome::Skipped(_), Err(_)) => None,
            // Nothing that is sent to a server may end it.
            (_, Err(error)) => {
                outcome = Outcome::Failed(lacewing_conform::Failure {
                    expected: "a server that goes on".into(),
                    got: error.message().unwrap_or("no connection").to_owned(),
                    frames: Vec::new(),
                });
                again(args.patience, &connect).await
            }
        };
        super::tell(args, &case, &outcome);
        report.add(&case, outcome);
    }
    Ok(report)
}

/// A connection to a server that somebody may start again.
async fn again<T>(patience: Duration, connect: &impl AsyncFn() -> Result<T, Failure>) -> Option<T> {
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
