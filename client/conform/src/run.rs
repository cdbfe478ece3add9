//! Runs a case on a connection.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    case::{Case, Requirement},
    conditions::{Conditions, Strictness},
    outcome::Outcome,
    target::Target,
};

/// Runs one case on a new connection. The suite is the peer of the tested side.
///
/// `target` describes a server under test. Cases for a client ignore it, and
/// [`Target::new`] suffices. Skips the case if the target does not meet its needs.
pub async fn run<T>(case: &Case, io: T, target: &Target, conditions: &Conditions) -> Outcome
where
    T: AsyncRead + AsyncWrite + Send + Unpin,
{
    if let Some(reason) = case.lacks(target) {
        return Outcome::Skipped(reason);
    }
    let outcome = case
        .script
        .play(case.tested, Box::new(io), conditions)
        .await;
    match outcome {
        Outcome::Failed(failure)
            if case.requirement == Requirement::Should
                && conditions.strictness == Strictness::Usual =>
        {
            Outcome::Advised(failure)
        }
        other => other,
    }
}
