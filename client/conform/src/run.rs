//! Runs a case on a connection.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    case::{Case, Requirement},
    conditions::{Conditions, Strictness},
    outcome::Outcome,
    target::Target,
};

/// Runs one case on a fresh connection, as the scripted peer at its other end.
///
/// `target` is what a server under test can show; for a client under test it
/// is of no use, and [`Target::new`] will do.
///
/// ```
/// use lacewing_conform::{Conditions, Outcome, Target, run, server_cases};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let target = Target::new("http", "localhost");
/// let cases = server_cases(&target);
/// // Nobody is at the other end of this pipe.
/// let (io, _) = tokio::io::duplex(64);
/// let outcome = run(&cases[0], io, &target, &Conditions::default()).await;
/// assert!(matches!(outcome, Outcome::Failed(_)));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
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
