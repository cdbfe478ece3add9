//! Runs a case on a connection.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Case, Outcome, Requirement, Script, Target, http2, spdy};

/// How cases are run.
///
/// ```
/// use std::time::Duration;
/// use lacewing_conform::{Conditions, Strictness};
///
/// let conditions = Conditions { strictness: Strictness::Strict, ..Conditions::default() };
/// assert_eq!(conditions.timeout, Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// How long a reaction is waited for.
    pub timeout: Duration,
    /// Whether recommendations bind.
    pub strictness: Strictness,
    /// How bytes are handed to the transport.
    pub segmentation: Segmentation,
}

/// Whether recommendations bind.
///
/// ```
/// use lacewing_conform::Strictness;
///
/// assert_eq!(Strictness::default(), Strictness::Usual);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// A deviation from a SHOULD is advice, and a connection error may be just
    /// the end of the connection (RFC 9113 §5.4.1, SPDY/3 §2.4.1).
    #[default]
    Usual,
    /// A deviation from a SHOULD is a failure, and a connection error has to
    /// be told by GOAWAY.
    Strict,
}

/// How bytes are handed to the transport.
///
/// ```
/// use lacewing_conform::Segmentation;
///
/// assert_eq!(Segmentation::default(), Segmentation::Whole);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Segmentation {
    /// The frames of one step at once.
    #[default]
    Whole,
    /// Byte by byte; of a long write, its first KiB.
    Bytes,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            strictness: Strictness::default(),
            segmentation: Segmentation::default(),
        }
    }
}

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
    T: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(reason) = case.lacks(target) {
        return Outcome::Skipped(reason);
    }
    let outcome = match &case.script {
        Script::Http2(script) => http2::play(script, case.tested, io, conditions).await,
        Script::Spdy(script) => spdy::play(script, case.tested, io, conditions).await,
    };
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
