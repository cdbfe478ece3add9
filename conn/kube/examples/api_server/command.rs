//! Runs a command of this machine for a session.

use std::{io, time::Duration};

use lacewing_kube::{CommandOutcome, KubeError, server::ExecSession};
use tokio::process::Command;

/// The time for background processes to end their output after the command.
const DRAIN: Duration = Duration::from_secs(2);

pub(crate) async fn run(mut session: ExecSession, argv: Vec<String>) -> Result<(), KubeError> {
    let outcome = match start(&mut session, &argv).await {
        Ok(outcome) => outcome,
        Err(error) => CommandOutcome::Failed(format!("cannot run {argv:?}: {error}")),
    };
    session.finish(outcome).await
}

async fn start(session: &mut ExecSession, argv: &[String]) -> io::Result<CommandOutcome> {
    #[cfg(unix)]
    if session.sizes.is_some() {
        return crate::terminal::run(session, argv, DRAIN).await;
    }
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments);
    session.run(command, DRAIN).await
}
