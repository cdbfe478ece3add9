//! A conformance case, for any protocol.

use std::{fmt, pin::Pin};

use lacewing_frames::{Side, Version};

use crate::{conditions::Conditions, link::Transport, outcome::Outcome, target::Target};

/// One case: the frames to send, and the right reactions.
///
/// ```
/// use lacewing_conform::{Requirement, Version, client_cases};
///
/// let cases = client_cases(Version::Http2);
/// let case = cases.iter().find(|case| case.id() == "6.7/1").expect("PING is answered");
/// assert_eq!((case.section(), case.specification()), ("6.7", "RFC 9113"));
/// assert_eq!(case.requirement(), Requirement::Must);
/// ```
#[derive(Debug)]
pub struct Case {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) requirement: Requirement,
    /// The side that is tested.
    pub(super) tested: Side,
    pub(super) needs: Vec<Need>,
    pub(super) version: Version,
    pub(super) specification: &'static str,
    pub(super) script: Box<dyn Play>,
}

/// A script of any protocol, for the scripted peer.
pub(super) trait Play: fmt::Debug + Send + Sync {
    /// Plays the script on a connection with the tested side.
    fn play<'a>(
        &'a self,
        tested: Side,
        io: Box<dyn Transport + 'a>,
        conditions: &'a Conditions,
    ) -> Playing<'a>;
}

/// The future of a running script.
pub(super) type Playing<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// The requirement level of the rule behind a case (RFC 2119).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requirement {
    /// MUST or MUST NOT: a deviation is a failure.
    Must,
    /// SHOULD, or a choice that the specification recommends: a deviation is a
    /// failure when the suite is [strict](super::Strictness::Strict), else
    /// advice.
    Should,
}

/// A precondition of a case. Without it the case is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// A response with at least this many bytes of content at the path.
    Content(u64),
    /// A response with at most this many bytes of content at the path.
    Page(u64),
    /// A response with at least this many bytes of content at the large path.
    LargeContent(u64),
    /// A resource that answers POST with 2xx.
    Upload,
    /// Extended CONNECT is on (RFC 8441).
    ExtendedConnect,
    /// Extended CONNECT is off.
    NoExtendedConnect,
    /// Streams with an initial window of at most this many bytes.
    Window(u32),
    /// Frames of at most this many bytes.
    FrameSize(u32),
    /// A dynamic table of at least this many bytes (RFC 7541 §2.3.2).
    HeaderTable(u32),
    /// At most this many concurrent streams.
    StreamLimit(u32),
    /// A client under test that sends a body of 128 KiB or more.
    RequestBody,
    /// A client under test that allows push.
    Push,
    /// A client under test that forbids push.
    NoPush,
}

/// Selects cases by section (with its subsections), by specification, or by id.
///
/// ```
/// use lacewing_conform::{Filter, Version, client_cases};
///
/// let cases = client_cases(Version::Http2);
/// let chosen = |text: &str| cases.iter().filter(|case| Filter::new(text).admits(case)).count();
/// assert!(chosen("6.5") > chosen("6.5.2"));
/// assert_eq!(chosen("6.7/1"), 1);
/// assert!(chosen("7541") > 0); // all of RFC 7541
/// ```
#[derive(Clone, Debug)]
pub struct Filter(String);

impl Case {
    /// The section and a number, such as `6.5.2/3`. The number of another RFC
    /// than 9113 precedes its section: `7541/6.3/1`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The rule, as a sentence.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The requirement level of the rule.
    pub fn requirement(&self) -> Requirement {
        self.requirement
    }

    /// The side that is tested.
    pub fn tested(&self) -> Side {
        self.tested
    }

    /// The preconditions of the case.
    pub fn needs(&self) -> &[Need] {
        &self.needs
    }

    /// The protocol.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The specification, such as `RFC 9113` or `SPDY/3.1`.
    pub fn specification(&self) -> &'static str {
        self.specification
    }

    /// The section of the specification, such as `6.5.2`.
    pub fn section(&self) -> &str {
        let place = self.id.rsplit_once('/').map_or("", |(place, _)| place);
        place.rsplit_once('/').map_or(place, |(_, section)| section)
    }

    /// The unmet precondition on this target, if there is one.
    pub(super) fn lacks(&self, target: &Target) -> Option<String> {
        let missing = self.needs.iter().find(|need| !need.is_met(target))?;
        Some(format!("needs {missing}"))
    }
}

impl Need {
    fn is_met(self, target: &Target) -> bool {
        let abilities = &target.abilities;
        match self {
            Self::Content(bytes) => abilities.content >= bytes,
            Self::Page(most) => abilities.content <= most,
            Self::LargeContent(bytes) => abilities.large_content >= bytes,
            Self::Upload => abilities.upload,
            Self::ExtendedConnect => abilities.extended_connect,
            Self::NoExtendedConnect => !abilities.extended_connect,
            Self::StreamLimit(most) => abilities
                .max_concurrent_streams
                .is_some_and(|limit| limit <= most),
            Self::Window(most) => abilities.initial_window_size <= most,
            Self::FrameSize(most) => abilities.max_frame_size <= most,
            Self::HeaderTable(least) => abilities.header_table_size >= least,
            // The script itself checks a client's abilities on its connection.
            Self::RequestBody | Self::Push | Self::NoPush => true,
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(bytes) => {
                write!(
                    f,
                    "a response with {bytes} bytes of content or more at the path"
                )
            }
            Self::Page(most) => write!(
                f,
                "a smaller page at the path: this one is larger than {most} bytes"
            ),
            Self::LargeContent(bytes) => write!(
                f,
                "a response with {bytes} bytes of content or more at the large path"
            ),
            Self::Upload => f.write_str("a resource that answers POST with 2xx"),
            Self::ExtendedConnect => f.write_str("extended CONNECT"),
            Self::NoExtendedConnect => f.write_str("extended CONNECT to be off"),
            Self::FrameSize(most) => write!(f, "frames of {most} bytes or less"),
            Self::HeaderTable(least) => write!(f, "a dynamic table of {least} bytes or more"),
            Self::Window(most) => write!(f, "windows of {most} bytes or less"),
            Self::StreamLimit(most) => {
                write!(f, "a limit of {most} concurrent streams or fewer")
            }
            Self::RequestBody => f.write_str("a request with a body of 128 KiB or more"),
            Self::Push => f.write_str("a client that allows push"),
            Self::NoPush => f.write_str("a client that forbids push"),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
        })
    }
}

impl Filter {
    /// A section (`6.5`, `7541/6.3`), the number of a specification (`7541`),
    /// or the id of one case (`6.5.2/3`). An empty text selects all cases.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns `true` if the filter selects the case.
    pub fn admits(&self, case: &Case) -> bool {
        match case.id.strip_prefix(self.0.as_str()) {
            Some(rest) => self.0.is_empty() || rest.is_empty() || rest.starts_with(['.', '/']),
            None => false,
        }
    }
}
